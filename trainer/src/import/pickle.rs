//! Reads Python pickles of protocol 2 to 5 without executing them.
//!
//! Every call in a pickle becomes an [`Object::Call`] with the name of the function and its arguments;
//! nothing is executed. Objects refer to each other by number, so cycles and deep nesting need no
//! stack; their number is limited by [`MAX_OBJECTS`].
//!
//! No crate does this for files from anywhere: serde-pickle 1.2 has no persistent ids, the reader of
//! candle-core copies objects at every use and lacks protocol 4, and pytorch-reader is a pre-release.

use std::collections::HashMap;

/// The most objects of a pickle. That of torchreid's OSNet x0.25 with the state of an Adam has 25 182
/// (instructions of pickletools that make one, counted).
const MAX_OBJECTS: usize = 1 << 21;

/// The largest integer, in bytes, that is kept as a number. The magic number of the form before
/// torch 1.6 has ten.
const MAX_INT: usize = 16;

/// Names an object within one [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// An object of a pickle.
#[derive(Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// Bytes, also of a byte array, and integers beyond [`Object::Int`].
    Bytes(Vec<u8>),
    /// A list or a set.
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A function or class: module and name.
    Global(String, String),
    /// Something outside of the pickle that this object describes.
    Persistent(Id),
    Call(Box<Call>),
}

/// A recorded call, which is not executed.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// The function.
    pub(super) by: Id,
    /// The tuple of its arguments.
    pub(super) args: Id,
    /// Attributes set on the result.
    pub(super) state: Option<Id>,
    /// Items set in the result.
    pub(super) items: Vec<(Id, Id)>,
    /// Objects appended to the result.
    pub(super) listed: Vec<Id>,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Reads one pickle from the front of `bytes`.
    pub(super) fn read(bytes: &mut &[u8]) -> Result<Self, String> {
        let mut machine = PickleReader {
            size: bytes.len(),
            bytes,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let at = machine.size - machine.bytes.len();
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => {
                    return Ok(Self {
                        objects: machine.objects,
                        root,
                    });
                }
                Err(reason) => return Err(format!("pickle, byte {at}: {reason}")),
            }
        }
    }

    /// What the pickle stands for.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// Every object, in the order of its making.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> {
        (0..).map(Id).take(self.objects.len())
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i128> {
        match self.get(id) {
            Object::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The members of a tuple or a list.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(ids) | Object::List(ids) => Some(ids),
            _ => None,
        }
    }

    /// Module and name of a function or class.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Object::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
}

struct PickleReader<'a, 'b> {
    size: usize,
    bytes: &'a mut &'b [u8],
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack, the latest last.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

type PickleResult<T> = Result<T, String>;

impl<'b> PickleReader<'_, 'b> {
    /// One instruction; the result if it was the last. Letters are those of Python's pickletools.
    fn step(&mut self) -> PickleResult<Option<Id>> {
        let [code] = self.array()?;
        if let Some(object) = self.new_object(code)? {
            self.push(object)?;
            return Ok(None);
        }
        match code {
            // PROTO, FRAME.
            0x80 => {
                let [version] = self.array()?;
                if !(2..=5).contains(&version) {
                    return Err(format!("protocol {version}, 2 to 5 are read"));
                }
            }
            0x95 => _ = self.array::<8>()?,
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            // Python drops a mark if that is on top.
            b'0' if self.marks.last() == Some(&self.stack.len()) => _ = self.marks.pop(),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.since_mark()?,
            b'2' => {
                let top = self.peek()?;
                self.stack.push(top);
            }
            b'a' => {
                let id = self.pop()?;
                self.extend(vec![id])?;
            }
            b'e' | 0x90 => {
                let ids = self.since_mark()?;
                self.extend(ids)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.since_mark()?)?;
                self.set(items)?;
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.peek()?;
                // Attributes of anything else would not change what is read of it.
                if let Object::Call(call) = self.get_mut(object) {
                    call.state = Some(state);
                }
            }
            b'q' => {
                let at = self.length1()?;
                self.memorise(at)?;
            }
            b'r' => {
                let at = self.length4()?;
                self.memorise(at)?;
            }
            0x94 => self.memorise(self.memo.len())?,
            b'h' => {
                let at = self.length1()?;
                self.recall(at)?;
            }
            b'j' => {
                let at = self.length4()?;
                self.recall(at)?;
            }
            _ => return Err(format!("instruction {code:#04x} is not read")),
        }
        Ok(None)
    }

    /// The object that an instruction creates; none for other instructions.
    fn new_object(&mut self, code: u8) -> PickleResult<Option<Object>> {
        Ok(Some(match code {
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'J' => Object::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Object::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Object::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => self.long(Self::length1)?,
            0x8b => self.long(Self::length4)?,
            b'G' => Object::Float(f64::from_be_bytes(self.array()?)),
            // BINUNICODE and its kin; strings of Python 2 count as text.
            b'X' | b'T' => self.text(Self::length4)?,
            0x8c | b'U' => self.text(Self::length1)?,
            0x8d => self.text(Self::length8)?,
            b'B' => self.blob(Self::length4)?,
            b'C' => self.blob(Self::length1)?,
            0x8e | 0x96 => self.blob(Self::length8)?,
            b']' | 0x8f => Object::List(Vec::new()),
            b'}' => Object::Dict(Vec::new()),
            b')' => Object::Tuple(Vec::new()),
            b't' => Object::Tuple(self.since_mark()?),
            0x85..=0x87 => {
                let from = self.below(usize::from(code - 0x84))?;
                Object::Tuple(self.stack.split_off(from))
            }
            b'l' | 0x91 => Object::List(self.since_mark()?),
            b'd' => Object::Dict(pairs(&self.since_mark()?)?),
            b'c' => {
                let module = self.line()?;
                Object::Global(module, self.line()?)
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (self.get(module), self.get(name)) {
                    (Object::Text(module), Object::Text(name)) => {
                        Object::Global(module.clone(), name.clone())
                    }
                    _ => return Err("a function is named by something that is no text".to_owned()),
                }
            }
            // REDUCE and NEWOBJ: a call, recorded. NEWOBJ_EX: with named arguments, which no tensor has.
            b'R' | 0x81 | 0x92 => {
                if code == 0x92 {
                    self.pop()?;
                }
                let args = self.pop()?;
                Object::Call(Box::new(Call {
                    by: self.pop()?,
                    args,
                    state: None,
                    items: Vec::new(),
                    listed: Vec::new(),
                }))
            }
            b'Q' => Object::Persistent(self.pop()?),
            _ => return Ok(None),
        }))
    }

    fn get(&self, id: Id) -> &Object {
        &self.objects[id.0 as usize]
    }

    fn get_mut(&mut self, id: Id) -> &mut Object {
        &mut self.objects[id.0 as usize]
    }

    fn push(&mut self, object: Object) -> PickleResult<()> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects"));
        }
        let id = u32::try_from(self.objects.len()).map_err(|e| e.to_string())?;
        self.stack.push(Id(id));
        self.objects.push(object);
        Ok(())
    }

    /// Where the last `count` of the stack begin, none of them below the latest mark.
    fn below(&self, count: usize) -> PickleResult<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let from = self.stack.len().checked_sub(count);
        from.filter(|from| *from >= floor)
            .ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop(&mut self) -> PickleResult<Id> {
        let at = self.below(1)?;
        Ok(self.stack.remove(at))
    }

    fn peek(&self) -> PickleResult<Id> {
        Ok(self.stack[self.below(1)?])
    }

    fn since_mark(&mut self) -> PickleResult<Vec<Id>> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, ids: Vec<Id>) -> PickleResult<()> {
        let object = self.peek()?;
        match self.get_mut(object) {
            Object::List(list) => list.extend(ids),
            Object::Call(call) => call.listed.extend(ids),
            _ => return Err("something is appended to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<(Id, Id)>) -> PickleResult<()> {
        let object = self.peek()?;
        match self.get_mut(object) {
            Object::Dict(dict) => dict.extend(items),
            Object::Call(call) => call.items.extend(items),
            _ => return Err("an item is put into what is no dictionary".to_owned()),
        }
        Ok(())
    }

    fn memorise(&mut self, at: usize) -> PickleResult<()> {
        let top = self.peek()?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> PickleResult<()> {
        let id = self.memo.get(&at);
        let id = id.ok_or_else(|| format!("nothing was kept as number {at}"))?;
        self.stack.push(*id);
        Ok(())
    }

    /// The bytes of an object after its length.
    fn sized(&mut self, length: fn(&mut Self) -> PickleResult<usize>) -> PickleResult<&'b [u8]> {
        let length = length(self)?;
        self.take(length)
    }

    fn long(&mut self, length: fn(&mut Self) -> PickleResult<usize>) -> PickleResult<Object> {
        let bytes = self.sized(length)?;
        if bytes.len() > MAX_INT {
            return Ok(Object::Bytes(bytes.to_vec()));
        }
        let negative = bytes.last().is_some_and(|last| *last >= 0x80);
        let mut whole = [if negative { 0xff } else { 0 }; MAX_INT];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(Object::Int(i128::from_le_bytes(whole)))
    }

    fn text(&mut self, length: fn(&mut Self) -> PickleResult<usize>) -> PickleResult<Object> {
        let text = String::from_utf8_lossy(self.sized(length)?).into_owned();
        Ok(Object::Text(text))
    }

    fn blob(&mut self, length: fn(&mut Self) -> PickleResult<usize>) -> PickleResult<Object> {
        Ok(Object::Bytes(self.sized(length)?.to_vec()))
    }

    fn line(&mut self) -> PickleResult<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or("a name has no end")?)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn length1(&mut self) -> PickleResult<usize> {
        let [length] = self.array()?;
        Ok(length.into())
    }

    fn length4(&mut self) -> PickleResult<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> PickleResult<usize> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| ended())
    }

    fn array<const N: usize>(&mut self) -> PickleResult<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk().ok_or_else(ended)?;
        *self.bytes = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> PickleResult<&'b [u8]> {
        let (head, rest) = self.bytes.split_at_checked(length).ok_or_else(ended)?;
        *self.bytes = rest;
        Ok(head)
    }
}

fn ended() -> String {
    "it ends in the middle".to_owned()
}

fn pairs(ids: &[Id]) -> PickleResult<Vec<(Id, Id)>> {
    match ids.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a dictionary has a key without a value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle, String> {
        Pickle::read(&mut &*bytes)
    }

    #[test]
    fn calls_are_written_down_and_not_done() {
        // os.system("touch /tmp/x"), as pickle.dumps of a class with __reduce__ writes it.
        let pickle =
            read(b"\x80\x02cos\nsystem\nq\x00X\x0c\x00\x00\x00touch /tmp/x\x85Rq\x01.").unwrap();
        let Object::Call(call) = pickle.get(pickle.root()) else {
            panic!("{pickle:?}")
        };
        assert_eq!(pickle.global(call.by), Some(("os", "system")));
        let args = pickle.sequence(call.args).unwrap();
        assert_eq!(pickle.text(args[0]), Some("touch /tmp/x"));
    }

    #[test]
    fn what_contains_itself_is_there_once() {
        // a = []; a.append(a)
        let pickle = read(b"\x80\x02]q\x00h\x00a.").unwrap();
        assert_eq!(pickle.sequence(pickle.root()), Some(&[pickle.root()][..]));
        // A million lists, each in the next.
        let deep = [
            b"\x80\x02".to_vec(),
            vec![b']'; 1_000_000],
            vec![b'a'; 999_999],
            b".".to_vec(),
        ];
        assert_eq!(read(&deep.concat()).unwrap().ids().count(), 1_000_000);
    }

    #[test]
    fn integers_of_every_form() {
        for (name, bytes, wanted) in [
            ("one byte", &b"K\xff"[..], 255),
            ("two bytes", b"M\x01\x02", 513),
            ("four bytes", b"J\xfe\xff\xff\xff", -2),
            ("long zero", b"\x8a\x00", 0),
            ("long negative", b"\x8a\x01\xff", -1),
            ("long 4", b"\x8b\x02\x00\x00\x00\x00\x80", -32768),
            (
                "magic number of torch",
                b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
                0x1950_a86a_20f9_469c_fc6c,
            ),
        ] {
            let pickle = read(&[b"\x80\x02", bytes, b"."].concat()).unwrap();
            assert_eq!(pickle.int(pickle.root()), Some(wanted), "{name}");
        }
    }

    #[test]
    fn broken_pickles_are_refused() {
        let many = [&b"\x80\x02("[..], &vec![b'N'; MAX_OBJECTS + 1]].concat();
        for (name, bytes, wanted) in [
            ("empty", &b""[..], "byte 0: it ends in the middle"),
            ("no end", b"\x80\x02K\x01", "byte 4: it ends in the middle"),
            ("protocol 1", b"\x80\x01.", "protocol 1"),
            (
                "protocol 0",
                b"cos\nsystem\n(S'ls'\ntR.",
                "instruction 0x53",
            ),
            ("empty stack", b"\x80\x02.", "stack is empty"),
            ("below the mark", b"\x80\x02K\x01(R", "stack is empty"),
            ("no mark", b"\x80\x02t", "no mark"),
            (
                "text beyond the end",
                b"\x80\x02X\xff\xff\xff\xff",
                "ends in the middle",
            ),
            (
                "bytes beyond memory",
                b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
                "ends in the middle",
            ),
            ("forgotten", b"\x80\x02h\x07", "number 7"),
            ("half an item", b"\x80\x02}(K\x01u", "without a value"),
            (
                "item into a number",
                b"\x80\x02K\x01K\x02K\x03s",
                "no dictionary",
            ),
            ("extension", b"\x80\x02\x82\x01", "instruction 0x82"),
            ("bomb", &many, "objects"),
        ] {
            let error = read(bytes).expect_err(name);
            assert!(error.contains(wanted), "{name}: {error}");
        }
    }
}
