//! The functions that the filter's module imports from its host, and those that it exports to it.

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;

use crate::difference::lines;
use crate::record::{COMMAND, DIRECTORY};

const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;

const FILE: &str = "module.txt";

/// It does not depend on Envoy, so it has one file.
#[test]
fn the_module_asks_for_the_recorded_functions() {
    let module = std::fs::read(artifacts::wasm().unwrap()).unwrap();
    let now = text(&Interface::read(&module).unwrap());
    let path = artifacts::checkout().join(DIRECTORY).join(FILE);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
        return;
    }
    let record = std::fs::read_to_string(&path).unwrap_or_default();
    let differences = lines(&record, &now);
    assert!(
        differences.is_empty(),
        "the module asks its host for other functions than {} says:\n\n{}\n\nEvery supported Envoy must have them: then write it \
         anew with `{COMMAND}`.",
        path.display(),
        differences.join("\n")
    );
}

/// The functions of a module that its host sees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) imports: Vec<Function>,
    pub(crate) exports: Vec<Function>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Such as `i32 i32 -> i32`.
    signature: String,
}

fn text(interface: &Interface) -> String {
    let listed = |functions: &[Function]| -> String {
        functions.iter().map(|Function { name, signature }| format!("{name}: {signature}\n")).collect()
    };
    format!(
        "The filter's module and its host. Written by `{COMMAND}`.\n\n## imports: the hostcalls that it can make\n{}\n\
         ## exports: the callbacks that the host can make\n{}",
        listed(&interface.imports),
        listed(&interface.exports)
    )
}

impl Interface {
    /// Reads the sections of a module that define its interface (WebAssembly Core Specification, section 5.5).
    pub(crate) fn read(module: &[u8]) -> Result<Self> {
        let rest = module.strip_prefix(b"\0asm\x01\0\0\0").context("not a WebAssembly module")?;
        let mut reader = Reader(rest);
        let (mut types, mut of_functions, mut imports, mut exports) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while !reader.0.is_empty() {
            let id = reader.byte()?;
            let size = reader.number()?;
            let mut section = Reader(reader.bytes(size)?);
            match id {
                TYPES => types = section.list(Reader::signature)?,
                // Imported functions have the first numbers.
                IMPORTS => imports = section.list(Reader::import)?,
                FUNCTIONS => of_functions = section.list(Reader::number)?,
                EXPORTS => exports = section.list(Reader::export)?,
                _ => {}
            }
        }
        let named = |name: String, kind: usize| {
            let signature = types.get(kind).cloned().context("a type that is not there")?;
            Ok(Function { name, signature })
        };
        let numbered: Vec<usize> = imports.iter().map(|(_, kind)| *kind).chain(of_functions).collect();
        let mut imports: Vec<Function> =
            imports.into_iter().map(|(name, kind)| named(name, kind)).collect::<Result<_>>()?;
        let mut exports: Vec<Function> = exports
            .into_iter()
            .flatten()
            .map(|(name, number)| named(name, *numbered.get(number).context("a function that is not there")?))
            .collect::<Result<_>>()?;
        imports.sort();
        exports.sort();
        Ok(Self { imports, exports })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("the module ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned LEB128 number.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        anyhow::bail!("a number that does not end")
    }

    fn list<Item>(&mut self, item: impl Fn(&mut Self) -> Result<Item>) -> Result<Vec<Item>> {
        (0..self.number()?).map(|_| item(self)).collect()
    }

    fn name(&mut self) -> Result<String> {
        let length = self.number()?;
        Ok(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }

    fn signature(&mut self) -> Result<String> {
        ensure!(self.byte()? == 0x60, "not a type of a function");
        let values = |reader: &mut Self| {
            let values = reader.list(|reader| {
                Ok(match reader.byte()? {
                    0x7f => "i32",
                    0x7e => "i64",
                    0x7d => "f32",
                    0x7c => "f64",
                    _ => "another type",
                })
            })?;
            Ok::<_, anyhow::Error>(if values.is_empty() { "()".to_owned() } else { values.join(" ") })
        };
        Ok(format!("{} -> {}", values(self)?, values(self)?))
    }

    /// The name of an imported function and the number of its type.
    fn import(&mut self) -> Result<(String, usize)> {
        let module = self.name()?;
        let name = self.name()?;
        ensure!(self.byte()? == 0, "{module}.{name} is not a function: no host of proxy-wasm has it");
        Ok((format!("{module}.{name}"), self.number()?))
    }

    /// The name of an exported function and its number. The memory is exported too.
    fn export(&mut self) -> Result<Option<(String, usize)>> {
        let name = self.name()?;
        let kind = self.byte()?;
        let number = self.number()?;
        Ok((kind == 0).then_some((name, number)))
    }
}
