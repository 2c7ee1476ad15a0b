//! Where a dump lies: a file, packed or not, that can be read as often as needed.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek as _},
    path::{Path, PathBuf},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;

use super::{DumpError, Rows, aside};

/// What is read at once.
const BUFFER: usize = 1 << 18;

/// A dump that can be read more than once.
pub struct Dump {
    file: File,
    folder: PathBuf,
}

/// How far a file has been read, in bytes.
#[derive(Clone, Default)]
pub(super) struct Position(Rc<Cell<u64>>);

impl Position {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

struct Counted {
    file: File,
    position: Position,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.position.0.set(self.position.get() + read as u64);
        Ok(read)
    }
}

impl Dump {
    /// The dump in a file. What can be read only once, such as a pipe, is laid aside in `folder` first; so are the messages later on.
    pub fn new(file: File, folder: &Path) -> io::Result<Self> {
        let file = if file.metadata()?.is_file() {
            file
        } else {
            let (mut once, mut kept) = (file, aside(folder)?);
            io::copy(&mut once, &mut kept)?;
            kept
        };
        Ok(Self {
            file,
            folder: folder.to_owned(),
        })
    }

    /// How many bytes it has.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its rows from the beginning, unpacked where it is packed, and how far the file is read meanwhile.
    pub(super) fn rows(&mut self) -> Result<(Rows<Box<dyn BufRead>>, Position), DumpError> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let position = Position::default();
        let counted = Counted {
            file,
            position: position.clone(),
        };
        let mut input = BufReader::with_capacity(BUFFER, counted);
        let packed = input.fill_buf()?.starts_with(b"\x1f\x8b");
        let input: Box<dyn BufRead> = if packed {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok((Rows::new(input), position))
    }
}
