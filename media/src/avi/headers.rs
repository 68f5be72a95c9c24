//! Parses the list `hdrl` at the beginning of an AVI file: the format of its video stream.

/// The video stream, by the headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Video {
    /// Number of the stream in decimal digits, as its chunks begin.
    pub(super) digits: [u8; 2],
    pub(super) fourcc: [u8; 4],
    pub(super) width: u32,
    pub(super) height: u32,
    /// Frames in so many seconds; one of them is 0 if the file states no rate.
    pub(super) rate: (u32, u32),
    pub(super) frames: Option<u64>,
    /// How many streams there are, of any kind.
    pub(super) streams: u8,
}

/// The first video stream in the body of `hdrl`.
pub(super) fn video(header: &[u8]) -> Result<Video, String> {
    let mut frame_time = 0;
    let mut total = None;
    let mut found = None;
    let mut streams = 0u8;
    for (id, body) in chunks(header) {
        match (id, body) {
            (b"avih", body) => frame_time = u32_at(body, 0).unwrap_or(0),
            (b"LIST", [b's', b't', b'r', b'l', stream @ ..]) => {
                if found.is_none() {
                    found = video_stream(stream)?.map(|video| (streams, video));
                }
                streams = streams.saturating_add(1);
            }
            (b"LIST", [b'o', b'd', b'm', b'l', extended @ ..]) => {
                total = chunks(extended)
                    .find(|(id, _)| *id == b"dmlh")
                    .and_then(|(_, body)| u32_at(body, 0));
            }
            _ => {}
        }
    }
    let (number, mut video) = found.ok_or("has no video stream (`strh` of type `vids`)")?;
    if number > 99 {
        return Err(format!(
            "its video is stream {number}, the last possible is 99"
        ));
    }
    video.digits = [b'0' + number / 10, b'0' + number % 10];
    video.streams = streams;
    if matches!(video.rate, (0, _) | (_, 0)) {
        video.rate = (1_000_000, frame_time);
    }
    video.frames = total
        .filter(|&total| total > 0)
        .map(u64::from)
        .or(video.frames);
    Ok(video)
}

/// The stream in the body of a `strl`; `None` if it is not video.
fn video_stream(stream: &[u8]) -> Result<Option<Video>, String> {
    let body_of = |wanted: &[u8; 4]| {
        chunks(stream)
            .find(|(id, _)| *id == wanted)
            .map(|(_, body)| body)
    };
    let Some(header) = body_of(b"strh").filter(|header| header.starts_with(b"vids")) else {
        return Ok(None);
    };
    // BITMAPINFOHEADER: size, width, height (negative: rows from the top), planes and depth,
    // compression.
    let format = body_of(b"strf").ok_or("its video stream has no format (`strf`)")?;
    let (Some(width), Some(height), Some(fourcc)) = (
        u32_at(format, 4),
        u32_at(format, 8),
        format.get(16..).and_then(|rest| rest.first_chunk()),
    ) else {
        return Err(format!(
            "a video format (`strf`) of {} bytes, wanted at least 20",
            format.len()
        ));
    };
    // AVISTREAMHEADER: type, handler, flags, priority and language, initial frames, scale, rate,
    // start, length.
    let rate = u32_at(header, 24).zip(u32_at(header, 20));
    Ok(Some(Video {
        digits: [0; 2],
        fourcc: *fourcc,
        width: width.cast_signed().unsigned_abs(),
        height: height.cast_signed().unsigned_abs(),
        rate: rate.unwrap_or_default(),
        frames: u32_at(header, 32).filter(|&n| n > 0).map(u64::from),
        streams: 0,
    }))
}

/// The chunks that `bytes` consists of; the last one may be cut off.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (id, rest) = bytes.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let size = u32::from_le_bytes(*size) as usize;
        let (body, rest) = rest.split_at(size.min(rest.len()));
        bytes = rest.get(size % 2..).unwrap_or_default();
        Some((id, body))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures::{chunk, error, list, open, read_all, stream};

    #[test]
    fn headers_that_are_refused() {
        let with = |streams: &[Vec<u8>]| {
            let movi = list(b"LIST", b"movi", &[]);
            list(b"RIFF", b"AVI ", &[list(b"LIST", b"hdrl", streams), movi])
        };
        let cases = [
            (
                "empty",
                vec![],
                "truncated before its pictures (`movi`) begin",
            ),
            (
                "a sound file",
                list(b"RIFF", b"WAVE", &[]),
                "starts with `RIFF` and `WAVE`, wanted `RIFF` and `AVI `",
            ),
            (
                "no headers",
                list(b"RIFF", b"AVI ", &[list(b"LIST", b"movi", &[])]),
                "has pictures (`movi`) before its headers (`hdrl`)",
            ),
            (
                "headers beyond the limit",
                list(b"RIFF", b"AVI ", &[b"LIST\xff\xff\xff\xffhdrl".to_vec()]),
                "headers of 4294967291 bytes, the limit is 1048576",
            ),
            (
                "no stream",
                with(&[]),
                "has no video stream (`strh` of type `vids`)",
            ),
            (
                "no video",
                with(&[stream(b"auds", b"MJPG", 16, 10)]),
                "has no video stream (`strh` of type `vids`)",
            ),
            (
                "no format",
                with(&[list(b"LIST", b"strl", &[chunk(b"strh", b"vids")])]),
                "its video stream has no format (`strf`)",
            ),
            (
                "a format cut short",
                with(&[list(
                    b"LIST",
                    b"strl",
                    &[chunk(b"strh", b"vids"), chunk(b"strf", &[0; 19])],
                )]),
                "a video format (`strf`) of 19 bytes, wanted at least 20",
            ),
            (
                "no frame rate",
                with(&[stream(b"vids", b"MJPG", 16, 0)]),
                "has no frame rate; give one with --fps",
            ),
            (
                "a rate beyond what --fps takes",
                with(&[stream(b"vids", b"MJPG", 16, 1001)]),
                "states 1001/1 frames per second, wanted 0.001 to 1000; give a rate with --fps",
            ),
            (
                "hostile size",
                with(&[stream(b"vids", b"MJPG", 1 << 31, 10)]),
                "frames of 2147483648 x 2147483648 pixels, the limit is 16384 a side",
            ),
        ];
        for (name, bytes, wanted) in cases {
            assert_eq!(read_all(&bytes), [error(wanted)], "{name}");
        }
        let error = open(&with(&[stream(b"vids", b"H264", 16, 10)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open `test.avi`: its video is `H264`, wanted Motion-JPEG (`MJPG`); \
             convert it with `ffmpeg -nostdin -i 'test.avi' -c:v mjpeg -pix_fmt yuvj420p -q:v 3 -an out.avi`"
        );
    }
}
