//! Words that are nearly others.

/// Bytes of a word that may be meant for a name: to compare longer ones takes long.
const LONGEST_NAME: usize = 256;

/// The one of some words that a word was most likely meant as.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_NAME {
        return None;
    }
    // Two letters of three that changed places come to less.
    let is_slip = |known: &str| {
        word.len() + known.len() > 4 && word.is_ascii() && strsim::osa_distance(word, known) == 1
    };
    let likeness = |known: &str| {
        let likeness = strsim::jaro_winkler(word, known);
        match known.starts_with(word) && word.len() > 3 {
            // Who leaves out the end of a word means that word rather than any other.
            true => 0.9 + likeness / 10.0,
            false if is_slip(known) => likeness.max(0.8),
            false => likeness,
        }
    };
    // A word that is much longer or shorter than another one is not meant for it, nor is one of which a third of the letters are
    // others, unless one begins with the other.
    let is_near = |known: &&str| {
        let (short, long) = (word.len().min(known.len()), word.len().max(known.len()));
        let is_far = || strsim::osa_distance(word, known) > long.div_ceil(3);
        let begins = known.starts_with(word) || word.starts_with(*known);
        begins || (long - short <= long / 3 && !is_far())
    };
    let near = known.filter(is_near).map(|known| (likeness(known), known));
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // One wrong letter amid three comes to 0.8.
    (best.0 > 0.79).then_some(best.1)
}
