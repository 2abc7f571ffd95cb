//! The agent's SQL client over real TDS: against a server that plays prepared answers, and against the lab's stand-in.

mod adsync;
mod hostile;
mod lab;
mod moving;
mod refusals;
mod session;
mod statements;
mod stub;
