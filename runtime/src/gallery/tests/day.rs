//! Two simulated days of 2,000 visitors each.

use std::collections::HashMap;

use super::*;

const DIM: usize = 64;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
const VISITORS: u64 = 2_000;

#[test]
fn two_days_of_two_thousand_visitors_stay_bounded_and_nobody_stays_too_long() {
    let mut gallery = Gallery::in_memory(SPACE, DIM).unwrap();
    gallery
        .enroll("ada", &face(DIM, u64::MAX), &origin(0))
        .unwrap();
    let mut dice = Dice(1);
    let mut last_seen = HashMap::new();
    let mut recorded = Vec::new();
    let (mut most, mut enrolled, mut gone, mut again) = (0, 0, 0, 0);
    let start = 1_795_000_000_000;
    // Each stays for six looks of the camera, four seconds apart, and every fifth was there before.
    for visit in 0..2 * VISITORS {
        let arrival = start + visit * (DAY / VISITORS);
        let who = match dice.roll(5) {
            0 => visit - dice.roll(visit.min(300) + 1),
            _ => visit,
        };
        let face = face(DIM, who);
        for look in 0..6 {
            let now = arrival + look * 4_000;
            for summary in gallery.expire(now).unwrap() {
                let seen: u64 = last_seen.remove(&summary.identity).unwrap();
                assert!(seen + DAY <= now, "{} went too early", summary.name);
                gone += 1;
            }
            let jitter = (0..DIM).map(|_| dice.roll(1000) as f32 / 1000.0 - 0.5);
            let row = unit(face.iter().zip(jitter).map(|(x, e)| x + 0.12 * e).collect());
            let found = gallery.search(&row).unwrap();
            let identity = found
                .filter(|found| found.best.similarity > 0.75)
                .map(|found| found.best.identity);
            let place = origin(now);
            let sample = Sample {
                identity,
                embedding: &row,
                origin: &place,
            };
            gallery.record(&[sample], &mut recorded).unwrap();
            enrolled += u64::from(recorded[0].enrolled);
            again += u64::from(look == 0 && !recorded[0].enrolled);
            last_seen.insert(recorded[0].identity, now);
        }
        // Nobody whose time has come is left.
        let now = arrival + 20_000;
        assert!(last_seen.values().all(|&seen| seen + DAY > now));
        assert_eq!(gallery.len(), last_seen.len() + 1);
        most = most.max(gallery.exemplars());
    }
    println!("{enrolled} enrolled, {again} seen again, {gone} gone, at most {most} exemplars");
    assert!(enrolled > 3_000 && again > 500 && gone > 1_000);
    assert_eq!(enrolled, gone + last_seen.len() as u64);
    assert!(gallery.len() as u64 <= VISITORS + 1);
    assert!(most <= 8 * VISITORS as usize);
    assert!(gallery.show("ada").is_ok());
}
