//! Decisions compared with the truth: visits with the names they were given come in, returns found,
//! returns missed and false matches go out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// The person of the truth that each name stands for: the one that was enrolled under it.
pub(super) type Owners = BTreeMap<String, u32>;

/// A visit, and the names that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    /// Who it is in truth.
    pub(super) person: u32,
    /// The names that were decided for it, the most frequent first.
    pub(super) names: Vec<String>,
    /// Those of them that were enrolled for it.
    pub(super) made: Vec<String>,
}

/// The verdict on a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// A first visit under a new name.
    Enrolled,
    /// A first visit without a decision.
    Undecided,
    /// A return under the name of the person.
    Found,
    /// A return under a new name, or without a decision.
    Missed,
    /// For most of the visit under the name of another person.
    False,
}

/// A visit with its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scored {
    pub(super) verdict: Verdict,
    /// Whether the person had come before.
    pub(super) again: bool,
    /// The other person under whose name the visit was, if only for a moment.
    pub(super) mistaken_for: Option<u32>,
}

/// Counts of a whole clip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Visits of persons who had come before.
    pub(super) returns: usize,
    /// Those of them that were recognised.
    pub(super) found: usize,
    /// All others of them, false matches included.
    pub(super) missed: usize,
    /// Visits under the name of another person for most of the time, first ones included.
    pub(super) false_matches: usize,
    /// Visits under the name of another person for a moment, and then under the right one.
    pub(super) corrected: usize,
    /// Visits of persons who came for the first time.
    pub(super) newcomers: usize,
    /// Those of them that were enrolled.
    pub(super) enrolled: usize,
}

impl Verdict {
    /// Its name in text.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "new",
            Self::Undecided => "undecided",
            Self::Found => "found",
            Self::Missed => "missed",
            Self::False => "false match",
        }
    }

    /// Whether it is what should have been decided.
    pub(super) fn is_right(self) -> bool {
        matches!(self, Self::Enrolled | Self::Found)
    }
}

impl Tally {
    /// Adds up verdicts.
    pub(super) fn of(scored: &[Scored]) -> Self {
        let mut tally = Self::default();
        for Scored {
            verdict,
            again,
            mistaken_for,
        } in scored
        {
            if *again {
                tally.returns += 1;
                tally.found += usize::from(*verdict == Verdict::Found);
            } else {
                tally.newcomers += 1;
                tally.enrolled += usize::from(*verdict == Verdict::Enrolled);
            }
            tally.false_matches += usize::from(*verdict == Verdict::False);
            tally.corrected += usize::from(mistaken_for.is_some() && verdict.is_right());
        }
        tally.missed = tally.returns - tally.found;
        tally
    }

    /// Visits with a right verdict.
    pub(super) fn right(&self) -> usize {
        self.found + self.enrolled
    }
}

/// Gives visits their verdicts, in the order in which they began. `owners` has the names of an
/// earlier run, and gets those of this one.
///
/// The most frequent name of a visit counts, and a name belongs to the person enrolled under it.
pub(super) fn score(visits: &[Decided], owners: &mut Owners) -> Vec<Scored> {
    let mut came: BTreeSet<u32> = owners.values().copied().collect();
    for visit in visits {
        for name in &visit.made {
            owners.entry(name.clone()).or_insert(visit.person);
        }
    }
    let mut verdict_of = |visit: &Decided| {
        let again = !came.insert(visit.person);
        // A name that was enrolled for no person of the truth, a shadow for example.
        for name in &visit.names {
            owners.entry(name.clone()).or_insert(visit.person);
        }
        let mut others = visit.names.iter().map(|name| owners[name]);
        let called = others.clone().next();
        let verdict = match called {
            Some(other) if other != visit.person => Verdict::False,
            Some(_) if again && visit.made.contains(&visit.names[0]) => Verdict::Missed,
            Some(_) if again => Verdict::Found,
            Some(_) => Verdict::Enrolled,
            None if again => Verdict::Missed,
            None => Verdict::Undecided,
        };
        Scored {
            verdict,
            again,
            mistaken_for: others.find(|&other| other != visit.person),
        }
    };
    visits.iter().map(&mut verdict_of).collect()
}

/// The verdicts on a program that recognises no person.
pub(super) fn always_new(persons: &[u32]) -> Vec<Scored> {
    let new = |(at, &person): (usize, &u32)| {
        let names = vec![format!("visit {at}")];
        Decided {
            person,
            made: names.clone(),
            names,
        }
    };
    let visits: Vec<Decided> = persons.iter().enumerate().map(new).collect();
    score(&visits, &mut Owners::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1:a` is person 1 called a, `1:a+b` called a and less often b, `1:` called by no name; `1:A` is
    /// person 1 for whom the name a is made.
    fn decided(text: &str) -> Vec<Decided> {
        let visit = |word: &str| {
            let (person, names) = word.split_once(':').unwrap();
            let all = names.split('+').filter(|name| !name.is_empty());
            let made = all.clone().filter(|name| name.to_lowercase() != **name);
            Decided {
                person: person.parse().unwrap(),
                made: made.map(str::to_lowercase).collect(),
                names: all.map(str::to_lowercase).collect(),
            }
        };
        text.split_whitespace().map(visit).collect()
    }

    #[test]
    fn verdicts_of_visits() {
        use Verdict::{Enrolled, False, Found, Missed, Undecided};
        struct Case(&'static str, &'static str, &'static [Verdict], [usize; 7]);
        let cases = [
            Case("no visit", "", &[], [0; 7]),
            Case(
                "comes three times, found twice",
                "1:A 2:B 1:a 1:a",
                &[Enrolled, Enrolled, Found, Found],
                [2, 2, 0, 0, 0, 2, 2],
            ),
            Case(
                "missed once, then found under the second name",
                "1:A 1:B 1:b",
                &[Enrolled, Missed, Found],
                [2, 1, 1, 0, 0, 1, 1],
            ),
            Case(
                "missed once, then found under the first name",
                "1:A 1:B 1:a",
                &[Enrolled, Missed, Found],
                [2, 1, 1, 0, 0, 1, 1],
            ),
            Case(
                "a new person under the name of another",
                "1:A 2:a 1:a",
                &[Enrolled, False, Found],
                [1, 1, 0, 1, 0, 2, 1],
            ),
            Case(
                "and stays it when they come back",
                "1:A 2:a 2:a",
                &[Enrolled, False, False],
                [1, 0, 1, 2, 0, 2, 1],
            ),
            Case(
                "a return under the name of another",
                "1:A 2:B 1:b",
                &[Enrolled, Enrolled, False],
                [1, 0, 1, 1, 0, 2, 2],
            ),
            Case(
                "for a moment under the name of another",
                "1:A 2:B+a 1:a+b",
                &[Enrolled, Enrolled, Found],
                [1, 1, 0, 0, 2, 2, 2],
            ),
            Case(
                "for a moment called what is made later for another",
                "1:A+b 2:B",
                &[Enrolled, Enrolled],
                [0, 0, 0, 0, 1, 2, 2],
            ),
            Case(
                "two names of their own",
                "1:A+B 1:b",
                &[Enrolled, Found],
                [1, 1, 0, 0, 0, 1, 1],
            ),
            Case(
                "a new name more often than the own one",
                "1:A 1:B+a",
                &[Enrolled, Missed],
                [1, 0, 1, 0, 0, 1, 1],
            ),
            Case(
                "a name that was made for a shadow",
                "1:a 1:a 2:a",
                &[Enrolled, Found, False],
                [1, 1, 0, 1, 0, 2, 1],
            ),
            Case(
                "never decided",
                "1: 1: 1:A 1:a",
                &[Undecided, Missed, Missed, Found],
                [3, 1, 2, 0, 0, 1, 0],
            ),
        ];
        for Case(name, text, wanted, counts) in cases {
            let scored = score(&decided(text), &mut Owners::new());
            let verdicts: Vec<Verdict> = scored.iter().map(|scored| scored.verdict).collect();
            assert_eq!(verdicts, wanted, "{name}");
            let Tally {
                returns,
                found,
                missed,
                false_matches,
                corrected,
                newcomers,
                enrolled,
            } = Tally::of(&scored);
            let counted = [
                returns,
                found,
                missed,
                false_matches,
                corrected,
                newcomers,
                enrolled,
            ];
            assert_eq!(counted, counts, "{name}");
        }
    }

    #[test]
    fn names_are_known_from_an_earlier_run() {
        let mut owners = Owners::new();
        score(&decided("1:A 2:B"), &mut owners);
        let scored = score(&decided("2:b 1:C 3:a 1:a"), &mut owners);
        let tally = Tally::of(&scored);
        assert_eq!((tally.returns, tally.found, tally.missed), (3, 2, 1));
        assert_eq!((tally.newcomers, tally.false_matches), (1, 1));
        assert_eq!(scored[2].mistaken_for, Some(1));
        assert_eq!(owners["c"], 1);
    }

    #[test]
    fn a_person_who_is_always_new_is_never_found() {
        let scored = always_new(&[1, 2, 1, 1]);
        let tally = Tally::of(&scored);
        assert_eq!((tally.returns, tally.found, tally.missed), (2, 0, 2));
        assert_eq!((tally.enrolled, tally.false_matches), (2, 0));
    }
}
