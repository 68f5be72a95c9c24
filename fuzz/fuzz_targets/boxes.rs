//! Any text as a file of boxes; the first byte chooses the format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::Frame;
use runtime::people::given::{Format, Given};
use runtime::people::{MAX_PEOPLE, People, Persons};

fuzz_target!(|bytes: &[u8]| {
    let Some((format, text)) = bytes.split_first() else {
        return;
    };
    let format = match format {
        b'c' => Format::Csv,
        b'm' => Format::Mot { truth: false },
        b'g' => Format::Mot { truth: true },
        _ => Format::JsonLines,
    };
    let Ok(given) = Given::read(text, "fuzz", format) else {
        return;
    };
    let kept = given.len();
    let mut people = People::from(given);
    let mut found = Persons::new();
    let mut frame = Frame {
        name: Some("a/b.jpg".to_owned()),
        ..Frame::default()
    };
    let mut total = 0;
    for index in 0..4 {
        frame.index = index;
        let dropped = people
            .find(&frame, &mut found)
            .expect("boxes of a file cannot fail");
        assert!(dropped == 0 || found.len() == MAX_PEOPLE);
        for person in &found {
            let bbox = person.bbox;
            assert!(bbox.x.is_finite() && bbox.y.is_finite() && bbox.w > 0.0 && bbox.h > 0.0);
            assert!(person.score.is_none_or(f32::is_finite));
        }
        total = found.len().max(total);
    }
    assert!(total <= kept);
    if let Some(unused) = people.unused() {
        assert!(unused.frames > 0 && unused.boxes >= unused.frames);
    }
});
