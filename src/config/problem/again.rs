//! Problems that came without the lines of the files, as from an admin API: the lines are looked up anew.

use super::{Excerpt, Problem, Problems};

/// Characters of a line that is shown.
const LONGEST_LINE: usize = 2000;

impl Problems {
    /// Of settings that others have read, who may know of more, drawn with lines of their texts, as far as `text_of` has them. None
    /// if there are no problems.
    pub fn again(
        mut all: Vec<Problem>,
        more: bool,
        text_of: impl Fn(&Problem) -> Option<String>,
    ) -> Option<Self> {
        for problem in &mut all {
            problem.excerpt = text_of(problem).and_then(|text| excerpt(problem, &text));
        }
        (!all.is_empty()).then(|| {
            let problems = Self::of(all);
            Self { more: problems.more || more, ..problems }
        })
    }
}

/// The line where a problem is, if the text has it.
fn excerpt(problem: &Problem, text: &str) -> Option<Excerpt> {
    let (number, column) = (problem.line?, problem.column?);
    let line = text.split('\n').nth(number.checked_sub(1)?)?.trim_end_matches('\r');
    let places = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    let from = { places }.nth(column.checked_sub(1)?)?;
    let wrong = from..from + length(&line[from..], problem.value.as_deref());
    (line.len() <= LONGEST_LINE).then(|| Excerpt { text: line.to_owned(), first_line: number, wrong })
}

/// How much of what stands there is meant: nobody told where it ends.
fn length(rest: &str, value: Option<&str>) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    let behind = &rest[first.len_utf8()..];
    match first {
        '"' | '\'' => behind.find(first).map_or(rest.len(), |end| end + 2),
        '[' | '{' => {
            let mut depth = 0;
            let closes = |character: char| {
                depth += i32::from(['[', '{'].contains(&character));
                depth -= i32::from([']', '}'].contains(&character));
                depth == 0
            };
            rest.find(closes).map_or(rest.len(), |end| end + 1)
        }
        ']' | '}' => 1,
        _ => match value.filter(|value| rest.starts_with(value)) {
            Some(value) => value.len(),
            None => rest.find([' ', ',', '=', ']', '}', '#']).unwrap_or(rest.len()).max(1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked<'t>(text: &'t str, column: usize, value: Option<&str>) -> Option<&'t str> {
        let problem = Problem {
            line: Some(1),
            column: Some(column),
            value: value.map(str::to_owned),
            ..Problem::saying(String::new())
        };
        excerpt(&problem, text).map(|excerpt| &text[excerpt.wrong])
    }

    #[test]
    fn what_is_wrong_is_found_again_in_its_line() {
        assert_eq!(marked("wrokers = 2", 1, Some("wrokers")), Some("wrokers"));
        assert_eq!(marked("pool = \"nope\" # x", 8, Some("nope")), Some("\"nope\""));
        assert_eq!(marked("é = [[1], 2] # x", 5, None), Some("[[1], 2]"));
        assert_eq!(marked("[routes.b]", 10, None), Some("]"));
        assert_eq!(marked("priority = 1e3,", 12, Some("1000")), Some("1e3"));
        assert_eq!(marked("a = ", 5, None), Some(""));
        assert_eq!(marked("a = ", 6, None), None);
    }
}
