//! The sink of the demo: collects observations by the visits of the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use retrieval::stripes;
use runtime::Error;
use runtime::event::{Evidence, Observation, State};
use runtime::show::verdicts::Crop;
use runtime::sink::Sink;

use super::score::Decided;
use super::truth::Truth;

/// A name counts if a visit had it in so many frames: when two persons pass each other, a box may
/// for a frame or two cover the wrong one.
const FRAMES: usize = 3;

/// The most crops of a visit that are shown.
const CROPS: usize = 4;

/// What was seen of the clip.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    truth: &'a Truth,
    /// One for each visit of the truth.
    pub(super) visits: Vec<Seen>,
    /// In which frame each new name was made.
    made: BTreeMap<String, u64>,
    /// Observations that cover no person of the truth: shadows, two persons in one box.
    pub(super) strays: usize,
}

/// What was seen of a visit.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// In how many frames it had each name.
    names: BTreeMap<String, usize>,
    /// Highest similarity at which an identity was recognised.
    pub(super) similarity: Option<f32>,
    /// From when to when.
    pub(super) when: Option<[Duration; 2]>,
    /// Crops that were embedded, the first ones.
    pub(super) crops: Vec<Crop>,
    /// Stripes of all of them.
    pub(super) stripes: Vec<Vec<f32>>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(truth: &'a Truth) -> Self {
        let visits = truth.visits.iter().map(|_| Seen::default()).collect();
        Self {
            truth,
            visits,
            made: BTreeMap::new(),
            strays: 0,
        }
    }

    /// Visits that were over before frame `frames`, what was seen of each, and what was decided.
    pub(super) fn until(&self, frames: u64) -> Vec<(&Seen, Decided)> {
        let mut all: Vec<(&Seen, Decided)> = self
            .visits
            .iter()
            .zip(&self.truth.visits)
            .map(|(seen, visit)| (seen, seen.decided(visit.person)))
            .collect();
        for (name, &frame) in &self.made {
            if let Some(visit) = self.visit_of(name, frame) {
                all[visit].1.made.push(name.clone());
            }
        }
        let mut over = self.truth.visits.iter().map(|visit| visit.last < frames);
        all.retain(|_| over.next().unwrap_or(false));
        all
    }

    /// The visit for which a name was enrolled in a frame: of the visits at that time the one that
    /// had it most often. In the frame itself another person may have stood in front.
    fn visit_of(&self, name: &str, frame: u64) -> Option<usize> {
        let here = self.truth.visits.iter().zip(&self.visits).enumerate();
        here.filter(|(_, (visit, _))| (visit.first..=visit.last).contains(&frame))
            .filter_map(|(at, (_, seen))| Some((*seen.names.get(name)?, at)))
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
            .map(|(_, at)| at)
    }
}

impl Seen {
    /// The names that it had; which of them were enrolled for it is not known here.
    fn decided(&self, person: u32) -> Decided {
        let mut names: Vec<(&String, usize)> = self
            .names
            .iter()
            .map(|(name, &count)| (name, count))
            .collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let most = names.first().map_or(0, |(_, count)| *count);
        names.retain(|(_, count)| *count >= FRAMES.min(most));
        Decided {
            person,
            names: names.into_iter().map(|(name, _)| name.clone()).collect(),
            made: Vec::new(),
        }
    }
}

impl Sink for Watcher<'_> {
    fn observation(
        &mut self,
        seen: &Observation<'_>,
        evidence: &Evidence<'_>,
    ) -> runtime::Result<()> {
        let Some(visit) = self.truth.at(seen.frame, seen.bbox) else {
            self.strays += 1;
            return Ok(());
        };
        let visit = &mut self.visits[visit];
        let now = seen.stream_time;
        visit.when = Some(visit.when.map_or([now; 2], |[first, _]| [first, now]));
        if let Some(name) = seen.identity {
            *visit.names.entry(name.to_owned()).or_default() += 1;
            if seen.state == State::New {
                self.made.insert(name.to_owned(), seen.frame);
            }
        }
        visit.similarity = match (visit.similarity, seen.similarity) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        if let Some(rgb) = evidence.crop {
            let [height, width] = evidence.size;
            let colours = stripes::embed(rgb, width, height).map_err(Error::from)?;
            visit.stripes.push(colours);
            if visit.crops.len() < CROPS {
                visit.crops.push(Crop::new(rgb, width, height, now)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_name_counts_from_three_frames_on() {
        let decided = |names: &[(&str, usize)]| {
            let names = names
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect();
            let seen = Seen {
                names,
                ..Seen::default()
            };
            seen.decided(1).names
        };
        assert!(decided(&[]).is_empty());
        assert_eq!(decided(&[("a", 3), ("b", 9), ("c", 2)]), ["b", "a"]);
        // Of a visit that was decided in its last frames.
        assert_eq!(decided(&[("a", 1)]), ["a"]);
        assert_eq!(decided(&[("a", 2), ("b", 1)]), ["a"]);
    }

    #[test]
    fn a_name_belongs_to_whom_it_was_made_for() {
        // Two pass each other in frame 2, where a is made for the box of person 2.
        let text = "frame,person,visit,x,y,w,h\n\
                    1,1,1,0,0,10,20\n2,1,1,20,0,10,20\n3,1,1,40,0,10,20\n\
                    2,2,2,22,0,10,20\n3,2,2,0,0,10,20\n9,1,3,0,0,10,20\n";
        let truth = Truth::parse(text).unwrap();
        let mut watcher = Watcher::new(&truth);
        let nothing = Evidence {
            crop: None,
            size: [0, 0],
            quality: 0.0,
            runner_up: None,
            visit: None,
        };
        let seen = [
            (2, 22.0, Some("a"), State::New),
            (3, 40.0, Some("a"), State::Seen),
            (3, 41.0, Some("a"), State::Seen),
            (3, 0.0, None, State::Pending),
            (3, 200.0, None, State::Pending),
            (9, 0.0, Some("a"), State::Seen),
        ];
        for (frame, x, identity, state) in seen {
            let observation = Observation {
                schema: 1,
                source: "",
                frame,
                time: SystemTime::UNIX_EPOCH,
                stream_time: Duration::from_secs(frame),
                track: Some(1),
                bbox: [x, 0.0, 10.0, 20.0],
                identity,
                similarity: None,
                runner_up: None,
                threshold: 0.5,
                state,
            };
            watcher.observation(&observation, &nothing).unwrap();
        }
        assert_eq!(watcher.strays, 1);
        let decided: Vec<Decided> = (watcher.until(10).into_iter())
            .map(|(_, decided)| decided)
            .collect();
        assert_eq!(decided[0].made, ["a"]);
        assert!(decided[1].made.is_empty() && decided[2].made.is_empty());
        assert_eq!(decided[2].names, ["a"]);
        assert_eq!(watcher.until(9).len(), 2, "the third visit is not over");
        let when = [Duration::from_secs(2), Duration::from_secs(3)];
        assert_eq!(watcher.visits[1].when, Some(when));
    }
}
