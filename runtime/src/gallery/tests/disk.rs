//! A disk in memory for tests: it can be full after any byte, and its power can be cut at any moment.
//!
//! It is one folder. A write is durable once its file has been synchronised, and a name once the folder has been: until then a power cut keeps any part of it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// Bytes that a disk writes at once.
const SECTOR: usize = 512;

/// The folder. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::gallery) struct Disk {
    state: Arc<Mutex<State>>,
}

/// An open file of a disk.
#[derive(Debug)]
pub(in crate::gallery) struct DiskFile {
    disk: Disk,
    file: usize,
}

#[derive(Debug)]
struct State {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    /// Bytes that can be written before the disk is full.
    room: usize,
    log: Option<Log>,
}

/// What has happened to a disk since it was as at the beginning of the log.
#[derive(Debug, Clone, Default)]
pub(in crate::gallery) struct Log {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    pub(in crate::gallery) events: Vec<Event>,
}

/// Something that happens to a disk.
#[derive(Debug, Clone)]
pub(in crate::gallery) enum Event {
    /// To the content of a file.
    File(usize, DiskChange),
    /// A file was synchronised.
    Sync(usize),
    /// To a name: the file that has it now, and the name that this file had before.
    Name(String, Option<usize>, Option<String>),
    /// The folder was synchronised.
    SyncFolder,
    /// A change was acknowledged to the caller.
    Acknowledged,
}

#[derive(Debug, Clone)]
pub(in crate::gallery) enum DiskChange {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk that holds one file, if it holds a byte, under the name of a gallery.
    pub(in crate::gallery) fn new(file: Vec<u8>) -> Self {
        let names = if file.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(Self::GALLERY.to_owned(), 0)])
        };
        Self::holding(vec![file], names)
    }

    /// The name of the gallery that most tests are about.
    pub(in crate::gallery) const GALLERY: &str = "shop";

    fn holding(files: Vec<Vec<u8>>, names: BTreeMap<String, usize>) -> Self {
        let state = State {
            files,
            names,
            room: usize::MAX,
            log: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    pub(in crate::gallery) fn size(&self, name: &str) -> Option<u64> {
        self.with(|state| Some(state.files[*state.names.get(name)?].len() as u64))
    }

    pub(in crate::gallery) fn open(&self, name: &str) -> Option<DiskFile> {
        let file = self.with(|state| state.names.get(name).copied())?;
        let disk = self.clone();
        Some(DiskFile { disk, file })
    }

    /// An empty file under a name.
    pub(in crate::gallery) fn create(&self, name: &str) -> DiskFile {
        if let Some(there) = self.open(name) {
            there.set_len(0).expect("less takes no room");
            return there;
        }
        let file = self.with(|state| {
            state.files.push(Vec::new());
            let file = state.files.len() - 1;
            state.rename(name, Some(file), None);
            file
        });
        let disk = self.clone();
        DiskFile { disk, file }
    }

    pub(in crate::gallery) fn rename(&self, from: &str, to: &str) {
        self.with(|state| {
            let file = state.names.get(from).copied();
            state.rename(to, file, Some(from.to_owned()));
        });
    }

    pub(in crate::gallery) fn remove(&self, name: &str) {
        self.with(|state| {
            if state.names.contains_key(name) {
                state.rename(name, None, None);
            }
        });
    }

    pub(in crate::gallery) fn sync_folder(&self) {
        self.with(|state| state.note(|| Event::SyncFolder));
    }

    pub(in crate::gallery) fn set_room(&self, room: usize) {
        self.with(|state| state.room = room);
    }

    pub(in crate::gallery) fn room(&self) -> usize {
        self.with(|state| state.room)
    }

    /// What somebody else would find on the disk now.
    pub(in crate::gallery) fn copy(&self) -> Self {
        self.with(|state| Self::holding(state.files.clone(), state.names.clone()))
    }

    /// The bytes of a file.
    pub(in crate::gallery) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.with(|state| Some(state.files[*state.names.get(name)?].clone()))
    }

    /// The names of all files.
    pub(in crate::gallery) fn names(&self) -> Vec<String> {
        self.with(|state| state.names.keys().cloned().collect())
    }

    /// Writes down from here on what happens.
    pub(in crate::gallery) fn record(&self) {
        self.with(|state| {
            state.log = Some(Log {
                files: state.files.clone(),
                names: state.names.clone(),
                events: Vec::new(),
            });
        });
    }

    /// Notes that a change was acknowledged.
    pub(in crate::gallery) fn acknowledge(&self) {
        self.with(|state| state.note(|| Event::Acknowledged));
    }

    pub(in crate::gallery) fn take_log(&self) -> Log {
        self.with(|state| state.log.take().expect("it is recorded"))
    }
}

impl State {
    fn note(&mut self, event: impl FnOnce() -> Event) {
        if let Some(log) = &mut self.log {
            log.events.push(event());
        }
    }

    fn rename(&mut self, to: &str, file: Option<usize>, from: Option<String>) {
        self.note(|| Event::Name(to.to_owned(), file, from.clone()));
        set_name(&mut self.names, to, file, from.as_deref());
    }

    /// Takes room for so many more bytes.
    fn take_room(&mut self, bytes: usize) -> io::Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or(ErrorKind::StorageFull)?;
        Ok(())
    }

    fn change(&mut self, file: usize, change: DiskChange) {
        apply(&mut self.files[file], &change);
        self.note(|| Event::File(file, change));
    }
}

fn set_name(
    names: &mut BTreeMap<String, usize>,
    to: &str,
    file: Option<usize>,
    from: Option<&str>,
) {
    if let Some(from) = from
        && names.get(from).copied() == file
    {
        names.remove(from);
    }
    match file {
        Some(file) => names.insert(to.to_owned(), file),
        None => names.remove(to),
    };
}

fn apply(file: &mut Vec<u8>, change: &DiskChange) {
    match change {
        DiskChange::Length(len) => file.resize(*len, 0),
        DiskChange::Write(at, data) => {
            if file.len() < at + data.len() {
                file.resize(at + data.len(), 0);
            }
            file[*at..at + data.len()].copy_from_slice(data);
        }
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.with(|state| state.files[self.file].len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.with(|state| {
            let from = usize::try_from(offset).unwrap();
            let bytes = state.files[self.file].get(from..from + out.len());
            out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.with(|state| {
            let len = usize::try_from(len).unwrap();
            state.take_room(len.saturating_sub(state.files[self.file].len()))?;
            state.change(self.file, DiskChange::Length(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.with(|state| {
            state.note(|| Event::Sync(self.file));
            Ok(())
        })
    }

    /// Writes what there is room for: a full disk and a kill both tear a write.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.with(|state| {
            let from = usize::try_from(offset).unwrap();
            let fits = data.len().min(state.room);
            state.take_room(fits)?;
            state.change(self.file, DiskChange::Write(from, data[..fits].to_vec()));
            if fits < data.len() {
                return Err(ErrorKind::StorageFull.into());
            }
            Ok(())
        })
    }
}

/// A disk as time goes by in a log: what of it is durable, and what a power cut may take.
#[derive(Debug)]
pub(in crate::gallery) struct Replay<'l> {
    events: std::slice::Iter<'l, Event>,
    files: BTreeMap<usize, Durable<'l>>,
    names: BTreeMap<String, usize>,
    /// Names that have changed since the folder was synchronised.
    renamed: Vec<&'l Event>,
    /// Changes that have been acknowledged.
    pub(in crate::gallery) acknowledged: usize,
}

#[derive(Debug, Default)]
struct Durable<'l> {
    bytes: Vec<u8>,
    since: Vec<&'l DiskChange>,
}

impl<'l> Replay<'l> {
    pub(in crate::gallery) fn new(log: &'l Log) -> Self {
        let files = log.files.iter().enumerate().map(|(file, bytes)| {
            let bytes = bytes.clone();
            let since = Vec::new();
            (file, Durable { bytes, since })
        });
        Self {
            events: log.events.iter(),
            files: files.collect(),
            names: log.names.clone(),
            renamed: Vec::new(),
            acknowledged: 0,
        }
    }

    /// Goes on to the next event.
    pub(in crate::gallery) fn step(&mut self) {
        match self.events.next() {
            Some(Event::File(file, change)) => {
                self.files.entry(*file).or_default().since.push(change);
            }
            Some(Event::Sync(file)) => {
                let file = self.files.entry(*file).or_default();
                for change in file.since.drain(..) {
                    apply(&mut file.bytes, change);
                }
            }
            Some(event @ Event::Name(..)) => self.renamed.push(event),
            Some(Event::SyncFolder) => {
                for event in self.renamed.drain(..) {
                    rename(&mut self.names, event);
                }
            }
            Some(Event::Acknowledged) => self.acknowledged += 1,
            None => (),
        }
    }

    /// What may be on the disk when the power is cut now. `dice` answers with a number below its argument.
    pub(in crate::gallery) fn cut(&self, mut dice: impl FnMut(u64) -> u64) -> Disk {
        let mut names = self.names.clone();
        let odds = dice(5);
        for &event in &self.renamed {
            if survives(odds, &mut dice) {
                rename(&mut names, event);
            }
        }
        let last = self.files.keys().chain(names.values()).max();
        let mut files = vec![Vec::new(); last.map_or(0, |last| last + 1)];
        for &file in names.values() {
            if let Some(durable) = self.files.get(&file) {
                files[file] = durable.cut(&mut dice);
            }
        }
        Disk::holding(files, names)
    }
}

impl Durable<'_> {
    fn cut(&self, dice: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        // Of 0 nothing survives, of 4 all; 5 is a prefix.
        let odds = dice(6);
        let prefix = dice(self.since.len() as u64 + 1) as usize;
        let whole = dice(2) == 0;
        let mut last = None;
        for (number, &change) in self.since.iter().enumerate() {
            let kept = match odds {
                5 => number < prefix,
                odds => survives(odds, dice),
            };
            if !kept {
                continue;
            }
            match change {
                DiskChange::Length(_) => apply(&mut bytes, change),
                DiskChange::Write(at, data) if whole || odds == 5 => {
                    last = Some((*at, data.as_slice()));
                    apply(&mut bytes, change);
                }
                // Sectors survive one by one.
                DiskChange::Write(at, data) => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = ((at + from) / SECTOR + 1) * SECTOR - at;
                        let to = to.min(data.len());
                        if dice(2) == 0 {
                            last = Some((at + from, &data[from..to]));
                            let sector = DiskChange::Write(at + from, data[from..to].to_vec());
                            apply(&mut bytes, &sector);
                        }
                        from = to;
                    }
                }
            }
        }
        // The last sector is torn: of its second part the disk holds what was there before.
        if let Some((at, data)) = last {
            let sector = data.len() - (data.len() - 1) % SECTOR - 1;
            let torn = sector + dice((data.len() - sector) as u64 + 1) as usize;
            let before = &self.bytes;
            for (byte, place) in bytes[at + torn..at + data.len()]
                .iter_mut()
                .zip(at + torn..)
            {
                *byte = before.get(place).copied().unwrap_or(0);
            }
        }
        bytes
    }
}

fn survives(odds: u64, dice: &mut impl FnMut(u64) -> u64) -> bool {
    dice(4) < odds
}

fn rename(names: &mut BTreeMap<String, usize>, event: &Event) {
    if let Event::Name(to, file, from) = event {
        set_name(names, to, *file, from.as_deref());
    }
}
