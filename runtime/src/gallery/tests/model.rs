//! Random changes, compared after each with a model that is a map, and with what another process would find on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::gallery::store::tests::{DIM, open};
use crate::gallery::tests::disk::Disk;

const HOUR: u64 = 3_600_000;

/// Everybody by their name.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model(BTreeMap<String, Person>);

#[derive(Debug, Clone, PartialEq)]
struct Person {
    /// Numbers of the frames that the exemplars come from, from which their embeddings follow.
    exemplars: BTreeSet<u64>,
    visits: u64,
    enrolled: u64,
    last_seen: u64,
    aliases: BTreeSet<String>,
}

impl Person {
    fn new(exemplar: u64, time: u64) -> Self {
        Self {
            exemplars: [exemplar].into(),
            visits: 1,
            enrolled: time,
            last_seen: time,
            aliases: BTreeSet::new(),
        }
    }
}

impl Model {
    fn of(gallery: &mut Gallery) -> Self {
        let all: Vec<IdentitySummary> = gallery.list().collect();
        let person = |summary: IdentitySummary| {
            let (_, origins) = gallery.show(&summary.name).unwrap();
            let person = Person {
                exemplars: origins.iter().filter_map(|origin| origin.frame).collect(),
                visits: summary.visits,
                enrolled: summary.enrolled,
                last_seen: summary.last_seen,
                aliases: summary.aliases.into_iter().collect(),
            };
            assert_eq!(person.exemplars.len(), summary.exemplars);
            (summary.name, person)
        };
        Self(all.into_iter().map(person).collect())
    }

    fn any(&self, dice: &mut Dice) -> Option<String> {
        let at = dice.roll(self.0.len().max(1) as u64) as usize;
        self.0.keys().nth(at).cloned()
    }

    /// Removes those without a name whom `goes` says.
    fn let_go(&mut self, goes: impl Fn(&Person) -> bool) -> BTreeSet<String> {
        let gone = self.0.iter();
        let gone = gone.filter(|(name, person)| names::is_generated(name) && goes(person));
        let gone: BTreeSet<String> = gone.map(|(name, _)| name.clone()).collect();
        self.0.retain(|name, _| !gone.contains(name));
        gone
    }
}

#[test]
fn random_changes_do_what_a_map_would_do() {
    let mut counts = BTreeMap::<&str, usize>::new();
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let disk = Disk::new(Vec::new());
        let limits = GalleryLimits {
            max_exemplars: 256,
            max_identities: 12,
            flush_after: Duration::from_secs(dice.roll(2) * 7_200),
            ..GalleryLimits::default()
        };
        let reopened = || open(&disk).unwrap().with_limits(limits).unwrap();
        let mut gallery = reopened();
        let mut model = Model::default();
        let mut time = 1_795_000_000_000;
        for frame in 0..100 {
            time += dice.roll(2 * HOUR);
            let step = step(&mut gallery, &mut model, &mut dice, frame, time);
            *counts.entry(step).or_default() += 1;
            let case = format!("{step}, number {frame} of run {seed}");
            assert_eq!(Model::of(&mut gallery), model, "{case}");
            drop(gallery);
            gallery = reopened();
            assert_eq!(Model::of(&mut gallery), model, "{case}, reopened");
            if let Some(name) = model.any(&mut dice) {
                for &exemplar in &model.0[&name].exemplars {
                    let found = gallery.search(&face(DIM, exemplar)).unwrap().unwrap();
                    assert_eq!(found.best.name, name, "{case}");
                }
            }
        }
    }
    println!("{counts:?}");
    assert!(
        counts.values().all(|&n| n >= 10) && counts.len() == 13,
        "{counts:?}"
    );
}

/// Does something to both.
fn step(
    gallery: &mut Gallery,
    model: &mut Model,
    dice: &mut Dice,
    frame: u64,
    time: u64,
) -> &'static str {
    let place = Origin {
        frame: Some(frame),
        ..origin(time)
    };
    let row = face(DIM, frame);
    let person = model.any(dice);
    let other = model.any(dice);
    match (dice.roll(26), person, other) {
        (0..6, ..) => {
            let evicted = model.0.iter().filter(|(name, _)| names::is_generated(name));
            let oldest = evicted.clone().min_by_key(|(_, person)| person.last_seen);
            if evicted.count() == 12 {
                let oldest = oldest.unwrap().0.clone();
                model.0.remove(&oldest);
            }
            let (_, name) = gallery.new_identity(&row, &place).unwrap();
            model.0.insert(name.to_owned(), Person::new(frame, time));
            "new"
        }
        (6..8, ..) => {
            let name = ["ada", "bob", "eve"][dice.roll(3) as usize];
            let leads_to = |(_, person): &(&String, &mut Person)| person.aliases.contains(name);
            gallery.enroll(name, &row, &place).unwrap();
            if let Some((_, person)) = model.0.iter_mut().find(leads_to) {
                person.exemplars.insert(frame);
                person.last_seen = time;
            } else {
                let person = model.0.entry(name.to_owned());
                let person = person.or_insert_with(|| Person {
                    visits: 0,
                    ..Person::new(frame, time)
                });
                person.exemplars.insert(frame);
                person.last_seen = time;
            }
            "enrolled"
        }
        (8..14, Some(name), _) => {
            let person = model.0.get_mut(&name).unwrap();
            let id = gallery.show(&name).unwrap().0.identity;
            let known = dice.roll(2) == 0;
            let exemplar = if known {
                *person.exemplars.first().unwrap()
            } else {
                frame
            };
            if time - person.last_seen > 300_000 {
                gallery.begin_visit(id, time).unwrap();
                person.visits += 1;
            }
            let observed = gallery.observe(id, &face(DIM, exemplar), &place).unwrap();
            assert_eq!(observed.kept, !known);
            person.exemplars.insert(exemplar);
            person.last_seen = time;
            if known { "seen" } else { "seen, kept" }
        }
        (14..17, Some(from), Some(into)) => {
            let before = model.clone();
            let refused = from == into || names::is_generated(&into) && !names::is_generated(&from);
            let merged = gallery.merge(&from, &into);
            assert_eq!(merged.is_err(), refused);
            if refused {
                return "not merged";
            }
            let lost = model.0.remove(&from).unwrap();
            let person = model.0.get_mut(&into).unwrap();
            person.exemplars.extend(lost.exemplars);
            person.visits += lost.visits;
            person.enrolled = person.enrolled.min(lost.enrolled);
            person.last_seen = person.last_seen.max(lost.last_seen);
            person.aliases.extend(lost.aliases);
            person.aliases.insert(from);
            if dice.roll(2) == 0 {
                gallery.undo().unwrap();
                *model = before;
                return "merge undone";
            }
            "merged"
        }
        (17..19, Some(name), _) if model.0[&name].exemplars.len() > 1 => {
            let at = dice.roll(model.0[&name].exemplars.len() as u64) as usize;
            let (_, origins) = gallery.show(&name).unwrap();
            let picked = origins[at].clone();
            let (_, new) = gallery.split(&name, None, |n, _| n == at).unwrap();
            let exemplar = picked.frame.unwrap();
            model.0.get_mut(&name).unwrap().exemplars.remove(&exemplar);
            model.0.insert(new.name, Person::new(exemplar, picked.time));
            "split"
        }
        (19, Some(name), _) => {
            gallery.forget(&name).unwrap();
            model.0.remove(&name);
            "forgotten"
        }
        (20, ..) => {
            let seen_before = Some(time - 12 * HOUR);
            let gone = gallery
                .prune(&PruneRules {
                    seen_before,
                    ..PruneRules::default()
                })
                .unwrap();
            let wanted = model.let_go(|person| person.last_seen < time - 12 * HOUR);
            assert_eq!(
                gone.into_iter().map(|s| s.name).collect::<BTreeSet<_>>(),
                wanted
            );
            "pruned"
        }
        (21..23, Some(from), _) => {
            let name = ["ada", "bob", "eve"][dice.roll(3) as usize];
            let mut others = model.0.iter().filter(|(other, _)| **other != from);
            let refused =
                from == name || others.any(|(other, p)| other == name || p.aliases.contains(name));
            let renamed = gallery.rename(&from, name);
            assert_eq!(renamed.is_err(), refused, "{from} to {name}");
            if refused {
                return "not renamed";
            }
            let mut person = model.0.remove(&from).unwrap();
            person.aliases.remove(name);
            person
                .aliases
                .extend(Some(from).filter(|from| names::is_generated(from)));
            model.0.insert(name.to_owned(), person);
            "renamed"
        }
        _ => {
            let gone = gallery.expire(time).unwrap();
            // Nobody has made room: the gallery was opened anew since the last step.
            let wanted = model.let_go(|person| person.last_seen + 24 * HOUR <= time);
            assert_eq!(
                gone.into_iter().map(|s| s.name).collect::<BTreeSet<_>>(),
                wanted
            );
            "expired"
        }
    }
}
