#!/usr/bin/env python3
"""Carries TCP from ADDRESS:PORT to 127.0.0.1 and the port that stands in a file, which is read for every connection.

    forward.py ADDRESS:PORT FILE
"""
import asyncio
import pathlib
import sys


async def carry(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def connection(reader, writer):
    try:
        port = int(pathlib.Path(sys.argv[2]).read_text())
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, ValueError):
        writer.close()
        return
    await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))


async def main():
    address, port = sys.argv[1].rsplit(":", 1)
    server = await asyncio.start_server(connection, address, int(port))
    async with server:
        await server.serve_forever()


asyncio.run(main())
