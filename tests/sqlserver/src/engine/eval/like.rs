//! LIKE patterns: `%`, `_`, `[a-z]`, `[^x]`, ESCAPE.

use super::compare::Collation;

enum Piece {
    Any,
    One,
    Char(char),
    Set(Vec<(char, char)>, bool),
}

/// Whether a text matches a pattern.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>, collation: Collation) -> bool {
    let fold = |s: &str| -> Vec<char> {
        if collation == Collation::Insensitive {
            s.chars().flat_map(char::to_lowercase).collect()
        } else {
            s.chars().collect()
        }
    };
    let escape = escape.map(|c| {
        if collation == Collation::Insensitive {
            c.to_lowercase().next().unwrap_or(c)
        } else {
            c
        }
    });
    matches(&fold(text), &compile(&fold(pattern), escape))
}

fn compile(pattern: &[char], escape: Option<char>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let c = pattern[at];
        at += 1;
        if Some(c) == escape && at < pattern.len() {
            pieces.push(Piece::Char(pattern[at]));
            at += 1;
            continue;
        }
        pieces.push(match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            '[' => match set(pattern, at) {
                Some((piece, next)) => {
                    at = next;
                    piece
                }
                None => Piece::Char('['),
            },
            other => Piece::Char(other),
        });
    }
    pieces
}

fn set(pattern: &[char], mut at: usize) -> Option<(Piece, usize)> {
    let negated = pattern.get(at) == Some(&'^');
    if negated {
        at += 1;
    }
    let start = at;
    let mut ranges = Vec::new();
    while let Some(c) = pattern.get(at) {
        if *c == ']' && at > start {
            return Some((Piece::Set(ranges, negated), at + 1));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                ranges.push((*c, *high));
                at += 3;
            }
            _ => {
                ranges.push((*c, *c));
                at += 1;
            }
        }
    }
    None
}

/// Backtracks to the last `%` only: linear for each, so that no pattern takes exponential time.
fn matches(text: &[char], pieces: &[Piece]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pieces.get(p) {
            Some(Piece::Any) => {
                back = Some((p, t));
                p += 1;
                continue;
            }
            Some(piece) if fits(piece, text[t]) => {
                t += 1;
                p += 1;
                continue;
            }
            _ => {}
        }
        let Some((star, from)) = back else { return false };
        back = Some((star, from + 1));
        p = star + 1;
        t = from + 1;
    }
    pieces[p..].iter().all(|piece| matches!(piece, Piece::Any))
    // Trailing blanks of the pattern's text are ignored in `=`; LIKE keeps them.
}

fn fits(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::Any => true,
        Piece::One => true,
        Piece::Char(x) => *x == c,
        Piece::Set(ranges, negated) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let yes = |text, pattern| assert!(like(text, pattern, None, Collation::Insensitive), "{text} {pattern}");
        let no = |text, pattern| assert!(!like(text, pattern, None, Collation::Insensitive), "{text} {pattern}");
        yes("adsync.maintenance", "ADSync.%");
        yes("abc", "a_c");
        yes("a%c", "a[%]c");
        no("abc", "a[%]c");
        yes("abc", "a[a-c]c");
        no("abc", "a[^a-c]c");
        no("abc", "ab");
        yes("", "%");
        assert!(like("50%", "50!%", Some('!'), Collation::Insensitive));
    }
}
