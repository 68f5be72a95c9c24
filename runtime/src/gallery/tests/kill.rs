//! `kill -9` at random moments: a child process, this test program itself, changes a gallery and says what it has done; the parent kills it, opens the gallery and
//! compares. A kill does not empty the system's page cache as a power cut does; `store/tests.rs` covers torn writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const DIM: usize = 16;
/// Names the gallery to the child.
const VARIABLE: &str = "REID_TEST_GALLERY_TO_KILL";

#[test]
fn thirty_kills_lose_nothing_that_was_acknowledged() {
    kill(30);
}

/// `cargo test -p runtime a_thousand_kills -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn a_thousand_kills_lose_nothing_that_was_acknowledged() {
    kill(1_000);
}

/// What the child has said.
#[derive(Default)]
struct Acknowledged {
    /// Exemplars by identity.
    exemplars: BTreeMap<u64, usize>,
    gone: BTreeSet<u64>,
    /// When somebody was seen, by identity.
    seen: BTreeMap<u64, u64>,
    /// The latest time of an observation.
    time: u64,
    lines: usize,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        // The test harness begins the first line.
        let Some((_, text)) = line.trim_end().split_once("ack ") else {
            return;
        };
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let id = number(1);
        match words[0] {
            "enrolled" | "kept" => drop(self.exemplars.insert(id, number(2) as usize)),
            "seen" => drop(self.seen.insert(id, number(2))),
            "gone" => {
                self.gone.insert(id);
                self.exemplars.remove(&id);
                self.seen.remove(&id);
            }
            other => panic!("the child says {other}"),
        }
        if words[0] != "gone" {
            self.time = number(words.len() - 1);
        }
        self.lines += 1;
    }

    fn check(&self, gallery: &Gallery, case: &str) {
        let found: BTreeMap<u64, IdentitySummary> =
            gallery.list().map(|s| (s.identity, s)).collect();
        for (id, &exemplars) in &self.exemplars {
            // The child may have done one more thing than it could say: let go of somebody, for one.
            let Some(summary) = found.get(id) else {
                let oldest = self.exemplars.keys().next();
                assert_eq!(oldest, Some(id), "{case}: {id} is lost");
                continue;
            };
            let range = exemplars..=exemplars + 1;
            assert!(
                range.contains(&summary.exemplars),
                "{case}: exemplars of {id}"
            );
        }
        for id in &self.gone {
            assert!(!found.contains_key(id), "{case}: {id} is back");
        }
        for (id, &time) in &self.seen {
            // A second may be lost, counted back from the last observation.
            let stored = found.get(id).map(|summary| summary.last_seen);
            let kept = time + 1_000 > self.time || stored.is_none_or(|stored| stored >= time);
            assert!(
                kept,
                "{case}: {id} was seen at {time}, stored is {stored:?}"
            );
        }
        let unsaid = found.len().saturating_sub(self.exemplars.len());
        assert!(unsaid <= 1, "{case}: {unsaid} people came from nowhere");
    }
}

fn kill(times: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let mut dice = Dice(times as u64);
    let mut said = Acknowledged::default();
    let start = Instant::now();
    for round in 0..times {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gallery::tests::kill::the_child_that_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let enough = said.lines + 1 + dice.roll(12) as usize;
        let mut line = String::new();
        while said.lines < enough {
            line.clear();
            let length = lines.read_line(&mut line).unwrap();
            assert!(length > 0, "the child has ended by itself in round {round}");
            said.note(&line);
        }
        // Somewhere within the next two changes.
        let wait = Duration::from_micros(dice.roll(8_000));
        let heard = Instant::now();
        while heard.elapsed() < wait {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died. A line without an end was not said.
        while {
            line.clear();
            lines.read_line(&mut line).unwrap() > 0
        } {
            if line.ends_with('\n') {
                said.note(&line);
            }
        }
        let case = format!("kill {round}, after {} changes", said.lines);
        let gallery = Gallery::open(&path, SPACE, DIM).unwrap_or_else(|e| panic!("{case}: {e}"));
        said.check(&gallery, &case);
        // What it did without saying so is known from here on.
        said.exemplars = gallery.list().map(|s| (s.identity, s.exemplars)).collect();
        let last_seen = gallery.list().map(|s| (s.identity, s.last_seen));
        said.seen = last_seen.collect();
    }
    println!(
        "{times} kills in {:.1?}: {} acknowledged changes, {} people, {} gone, none lost",
        start.elapsed(),
        said.lines,
        said.exemplars.len(),
        said.gone.len()
    );
}

#[test]
#[ignore = "started, and killed, by the tests above"]
fn the_child_that_is_killed() {
    let path = std::env::var_os(VARIABLE).expect("the parent names a gallery");
    let limits = GalleryLimits {
        retention: None,
        ..GalleryLimits::default()
    };
    let gallery = Gallery::create_or_open(path, SPACE, DIM).unwrap();
    let mut gallery = gallery.with_limits(limits).unwrap();
    let mut time = gallery.list().map(|s| s.last_seen).max().unwrap_or(0);
    let mut out = stdout();
    let mut say = |text: String| {
        // One write a line, so that a kill does not tear it apart from its end.
        out.write_all(format!("ack {text}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    for turn in 0u64.. {
        time += 300;
        let (id, _) = gallery
            .new_identity(&face(DIM, time), &origin(time))
            .unwrap();
        say(format!("enrolled {id} 1 {time}"));
        for look in 0..3 {
            time += 300;
            let seen = gallery
                .list()
                .nth((look + turn as usize) % gallery.len())
                .unwrap();
            let novel = look == 1;
            let row = if novel {
                face(DIM, time)
            } else {
                let row = gallery.state.people[&seen.identity].rows[0];
                gallery.state.index.row(row).to_vec()
            };
            let id = seen.identity;
            let observed = gallery.observe(id, &row, &origin(time)).unwrap();
            if observed.kept {
                let exemplars = gallery.state.people[&id].rows.len();
                say(format!("kept {id} {exemplars} {time}"));
            } else {
                say(format!("seen {id} {time}"));
            }
        }
        if turn % 2 == 1 {
            let oldest = gallery.list().next().unwrap().identity;
            gallery.forget(&oldest.to_string()).unwrap();
            say(format!("gone {oldest}"));
        }
    }
}
