//! Runs the Tiltfile without Tilt: with fakes of its functions (`builtins.star`) that write down what they are called with.

mod native;
mod stack;
mod tools;

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use starlark::{
    any::ProvidesStaticType,
    environment::{Globals, GlobalsBuilder, LibraryExtension, Module},
    eval::Evaluator,
    syntax::{AstModule, Dialect},
};

pub use self::{
    stack::{Stack, containers, id},
    tools::Tools,
};

/// Where the Tiltfile is.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How Tilt is called, and where.
#[derive(Clone, Debug)]
pub struct World {
    pub context: String,
    pub subcommand: String,
    /// What `tilt_config.json` says, or the flags.
    pub settings: Map<String, Value>,
    /// Where commands are looked for that the Tiltfile runs at once.
    pub path: PathBuf,
}

/// What was called.
#[derive(Clone, Debug)]
pub struct Call {
    pub function: String,
    pub arguments: Value,
}

/// What the fakes know, and what they have seen.
#[derive(Debug, ProvidesStaticType)]
struct State {
    world: World,
    calls: RefCell<Vec<Call>>,
}

/// What the Tiltfile has done.
#[derive(Debug)]
pub struct Run {
    pub calls: Vec<Call>,
    /// Why it has ended before its end.
    pub failure: Option<String>,
}

impl World {
    /// A developer's own cluster, and all tools.
    pub fn new(tools: &Tools) -> Self {
        Self {
            context: "kind-nutritionfacts".into(),
            subcommand: "up".into(),
            settings: Map::new(),
            path: tools.path().into(),
        }
    }

    /// With a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Runs the Tiltfile.
    ///
    /// # Panics
    /// If there is none.
    pub fn run(self) -> Run {
        self.run_text(&fs::read_to_string(Path::new(ROOT).join("Tiltfile")).expect("there is a Tiltfile"))
    }

    /// Runs another text in its place.
    pub fn run_text(self, tiltfile: &str) -> Run {
        let state = State { world: self, calls: RefCell::default() };
        let failure = evaluate(&state, tiltfile).err().map(|error| format!("{error:#}"));
        Run { calls: state.calls.into_inner(), failure }
    }
}

impl Run {
    /// The calls of a function.
    pub fn calls<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Value> {
        self.calls.iter().filter(move |call| call.function == function).map(|call| &call.arguments)
    }
}

fn evaluate(state: &State, tiltfile: &str) -> anyhow::Result<()> {
    // What Tilt allows: statements at the top, but no types and no f-strings.
    let dialect = Dialect { enable_top_level_stmt: true, ..Dialect::Standard };
    let globals = GlobalsBuilder::extended_by(&[LibraryExtension::StructType]).with(native::functions).build();
    let builtins = parse("builtins.star", include_str!("builtins.star"), &dialect)?;
    let tiltfile = parse("Tiltfile", tiltfile, &dialect)?;
    Module::with_temp_heap(|module| {
        // In one module, so that the fakes' names are those that the Tiltfile sees, and no others are.
        run(state, &module, &globals, builtins)?;
        run(state, &module, &globals, tiltfile)
    })
}

fn parse(name: &str, text: &str, dialect: &Dialect) -> anyhow::Result<AstModule> {
    AstModule::parse(name, text.to_owned(), dialect).map_err(starlark::Error::into_anyhow)
}

fn run(state: &State, module: &Module<'_>, globals: &Globals, ast: AstModule) -> anyhow::Result<()> {
    let mut evaluator = Evaluator::new(module);
    evaluator.extra = Some(state);
    evaluator.eval_module(ast, globals).map(|_| ()).map_err(starlark::Error::into_anyhow)
}
