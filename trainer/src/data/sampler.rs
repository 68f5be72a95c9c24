//! Chooses the images of each batch of an epoch, from the seed of the run and the epoch's number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Result;
use synth::random::Draw;

/// The most images of a batch.
const MAX_BATCH: usize = 1 << 16;

/// Which images make a batch; the `[batch]` table of a recipe.
///
/// With `identities` P above 0, a batch has K images of each of P persons, as batch-hard triplets need:
/// `RandomIdentitySampler` in `data/samplers/triplet_sampler.py` of
/// <https://github.com/michuanhaohao/reid-strong-baseline>. The images of a person are shuffled and cut
/// into groups of K (a person with fewer images is drawn K times with replacement); P persons at a time
/// give their next group, until fewer than P persons have one.
///
/// With 0 each image is used once, in random order. The last batch takes the rest, unless that is one
/// image, which has no variance for a BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchOptions {
    /// Persons in a batch, P; 0 for images in any order.
    pub identities: usize,
    /// Images of each person, K; without persons the images of the batch, at least 2.
    pub images: usize,
}

impl Default for BatchOptions {
    /// Those of the paper.
    fn default() -> Self {
        Self {
            identities: 16,
            images: 4,
        }
    }
}

impl BatchOptions {
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) with the size of the batch, if it is out of range.
    pub fn check(&self) -> Result<()> {
        let Self { identities, images } = *self;
        let (of, size, least) = match identities {
            0 => (images.to_string(), images, 2),
            _ => {
                let size = identities.saturating_mul(images);
                (format!("{identities} persons x {images}"), size, 1)
            }
        };
        ensure!(
            (least..=MAX_BATCH).contains(&size),
            "a batch of {of} images, wanted {least} to {MAX_BATCH}"
        );
        Ok(())
    }

    /// The batches of epoch `epoch` (from 0 on) as indices of images, whose classes (persons) are
    /// `classes`.
    ///
    /// # Errors
    /// As [`BatchOptions::check`]; [`Error::Argument`](crate::Error::Argument) if there are too few persons or images for one
    /// batch.
    pub fn batches(&self, classes: &[i64], seed: u64, epoch: u64) -> Result<Vec<Vec<usize>>> {
        self.check()?;
        let mut draw = Draw::new(seed, "sample", &[epoch]);
        match self.identities {
            0 => shuffled(classes.len(), self.images, &mut draw),
            persons => identities(classes, persons, self.images, &mut draw),
        }
    }
}

/// `count` images in their order, for an evaluation; the last batch takes what is left.
///
/// # Panics
/// If `batch` is 0.
#[must_use]
pub fn in_order(count: usize, batch: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..count).collect();
    all.chunks(batch).map(<[usize]>::to_vec).collect()
}

fn identities(classes: &[i64], p: usize, k: usize, draw: &mut Draw) -> Result<Vec<Vec<usize>>> {
    let mut persons: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (index, &class) in classes.iter().enumerate() {
        persons.entry(class).or_default().push(index);
    }
    ensure!(
        persons.len() >= p,
        "{} persons to train with, a batch wants {p}",
        persons.len()
    );
    // Of each person, the groups that have not been taken; the last one is the next.
    let mut available: Vec<Vec<Vec<usize>>> = persons
        .into_values()
        .map(|mut images| {
            if images.len() < k {
                let of = images.len();
                images = (0..k).map(|_| images[draw.below(of)]).collect();
            }
            draw.shuffle(&mut images);
            let groups = images.chunks_exact(k).map(<[usize]>::to_vec);
            groups.collect()
        })
        .collect();
    let mut batches = Vec::new();
    while available.len() >= p {
        // The first P places of a shuffle that goes no further.
        for place in 0..p {
            let other = place + draw.below(available.len() - place);
            available.swap(place, other);
        }
        let mut batch = Vec::with_capacity(p * k);
        for groups in &mut available[..p] {
            batch.extend(groups.pop().into_iter().flatten());
        }
        batches.push(batch);
        available.retain(|groups| !groups.is_empty());
    }
    Ok(batches)
}

fn shuffled(count: usize, batch: usize, draw: &mut Draw) -> Result<Vec<Vec<usize>>> {
    ensure!(count >= 2, "{count} images to train with, wanted 2 or more");
    let mut all: Vec<usize> = (0..count).collect();
    draw.shuffle(&mut all);
    let batches = all.chunks(batch).filter(|batch| batch.len() > 1);
    Ok(batches.map(<[usize]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shuffling(images: usize) -> BatchOptions {
        BatchOptions {
            identities: 0,
            images,
        }
    }

    /// Classes of persons with so many images each, in turn as long as they last.
    fn classes(counts: &[usize]) -> Vec<i64> {
        let most = counts.iter().max().copied().unwrap_or(0);
        let turn = |image: usize| {
            let has = move |(class, &count): (i64, &usize)| (image < count).then_some(class);
            (0..).zip(counts).filter_map(has)
        };
        (0..most).flat_map(turn).collect()
    }

    #[test]
    fn every_batch_has_p_persons_and_k_images_of_each() {
        let cases: [(&str, &[usize], usize, usize); 7] = [
            ("the same for all", &[8; 6], 3, 4),
            ("uneven", &[4, 9, 13, 4, 5, 21, 7], 3, 4),
            ("some with fewer than K", &[1, 2, 3, 9, 8], 2, 4),
            ("one of each person", &[1; 5], 5, 4),
            ("P is all", &[4, 12], 2, 4),
            ("pairs", &[3, 3, 3], 2, 2),
            ("one a batch", &[3, 5], 1, 1),
        ];
        for (name, counts, p, k) in cases {
            let classes = classes(counts);
            for epoch in 0..20 {
                let sampler = BatchOptions {
                    identities: p,
                    images: k,
                };
                let batches = sampler.batches(&classes, 1, epoch).unwrap();
                assert!(!batches.is_empty(), "{name}");
                let mut taken = vec![0; counts.len()];
                let mut seen = BTreeSet::new();
                for batch in &batches {
                    let groups: Vec<&[usize]> = batch.chunks(k).collect();
                    assert_eq!(groups.len(), p, "{name}");
                    let mut persons = BTreeSet::new();
                    for group in groups {
                        let class = classes[group[0]];
                        assert!(group.iter().all(|&i| classes[i] == class), "{name}");
                        assert_eq!(group.len(), k, "{name}");
                        taken[class as usize] += 1;
                        persons.insert(class);
                        if counts[class as usize] >= k {
                            // Nobody is shown twice.
                            assert!(group.iter().all(|&i| seen.insert(i)), "{name}");
                        }
                    }
                    assert_eq!(persons.len(), p, "{name}");
                }
                // The epoch ends when fewer than P persons have a group left.
                let left = taken.iter().zip(counts).filter(|&(&taken, &count)| {
                    assert!(taken <= (count / k).max(1), "{name}");
                    taken < (count / k).max(1)
                });
                assert!(left.count() < p, "{name}");
            }
        }
    }

    #[test]
    fn everybody_gets_a_turn_in_an_epoch_of_the_papers_size() {
        // 751 persons of 2 to 72 images, as in Market-1501.
        let counts: Vec<usize> = (0..751).map(|i| 2 + i * i % 71).collect();
        let classes = classes(&counts);
        let batches = BatchOptions::default().batches(&classes, 5, 0).unwrap();
        let shown: BTreeSet<i64> = batches.iter().flatten().map(|&i| classes[i]).collect();
        // Who has one group may be left over, but hardly ever: P - 1 at the most are.
        assert!(shown.len() > 751 - 16, "{}", shown.len());
        assert!(batches.iter().all(|batch| batch.len() == 64));
        let groups: usize = counts.iter().map(|&count| (count / 4).max(1)).sum();
        assert!(batches.len() <= groups / 16 && batches.len() * 20 > groups);
    }

    #[test]
    fn epochs_are_named_by_seed_and_number() {
        let classes = classes(&[8; 12]);
        let kinds = [
            BatchOptions {
                identities: 4,
                images: 2,
            },
            shuffling(8),
        ];
        for sampler in kinds {
            let first = sampler.batches(&classes, 1, 0).unwrap();
            assert_eq!(first, sampler.batches(&classes, 1, 0).unwrap());
            assert_ne!(first, sampler.batches(&classes, 1, 1).unwrap());
            assert_ne!(first, sampler.batches(&classes, 2, 0).unwrap());
        }
    }

    #[test]
    fn plain_batches_have_every_image_once() {
        let lengths = |count: usize| {
            let batches = shuffling(4).batches(&vec![0; count], 1, 0);
            let batches = batches.unwrap();
            let all: BTreeSet<usize> = batches.iter().flatten().copied().collect();
            assert_eq!(all.len(), batches.iter().map(Vec::len).sum::<usize>());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(8), [4, 4]);
        assert_eq!(lengths(10), [4, 4, 2]);
        assert_eq!(lengths(9), [4, 4], "one alone waits");
        assert_eq!(in_order(5, 2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert!(in_order(0, 2).is_empty());
    }

    #[test]
    fn what_makes_no_batch_is_refused() {
        let cases = [
            (
                "identities = 4\nimages = 0",
                "4 persons x 0 images, wanted 1 to",
            ),
            ("identities = 16\nimages = 9999999", "wanted 1 to"),
            (
                "identities = 0\nimages = 1",
                "a batch of 1 images, wanted 2 to",
            ),
            (
                "identities = 4\nimages = 4",
                "3 persons to train with, a batch wants 4",
            ),
        ];
        for (text, wanted) in cases {
            let sampler: BatchOptions = toml::from_str(text).unwrap();
            let error = sampler.batches(&[0, 1, 2], 1, 0).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(shuffling(2).batches(&[1], 1, 0).is_err());
    }
}
