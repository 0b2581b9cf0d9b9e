//! The command line: the only place that knows everyone.

mod clock;
pub mod config;
pub mod messages;
pub mod migrate;
pub mod ping;
mod privacy_key;
mod reconfigure;
pub mod report;
pub mod serve;

use std::{error::Error, ffi::OsString, fmt, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use self::privacy_key::RulesError;
use crate::{
    cluster::kolibri_message,
    config::{
        Complaint, Flags, Layer, Loaded, config_maps::ConfigMaps, layers, load, load_to_start, sections::LogFormat,
    },
    http::openapi,
    store::OpenError,
    telemetry,
};

/// The telemetry server of Kolibri.
#[derive(Parser)]
#[command(name = "nutritionfacts", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(With<serve::Options>),
    /// Apply the store's migrations, then end; safe to run many at once
    Migrate(With<migrate::Options>),
    /// Send one ping to a server, and see that it is kept
    Ping(ping::Options),
    /// Tell which installations were active in a period, by system, version, country and language
    Report(With<report::Options>),
    /// Show, check and describe the configuration
    Config(config::Options),
    /// Check the messages for administrators
    Messages(messages::Options),
    /// Print the OpenAPI document of the public listener
    Openapi,
    /// Print the definition of the custom resource `KolibriMessage` as YAML
    Crd,
}

/// A command's own flags together with the common ones.
///
/// The common flags may stand before the command, behind it, or both. clap's `global` would do for the first two, but
/// of both it silently drops those before, and with them a whole layer of configuration.
#[derive(Args)]
pub struct With<T: Args> {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    options: T,
}

/// Flags common to all commands.
#[derive(Clone, Default, Args)]
pub struct Shared {
    /// Configuration file; may be repeated, the later over the earlier; replaces `NUTRITIONFACTS_CONFIG`
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Sets one key of the configuration; may be repeated
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// How a line of log looks
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// Which lines to log, as `info` or `nutritionfacts=debug,sqlx=warn`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Shared {
    /// These flags, then those that stand further right.
    fn and(mut self, right: Self) -> Self {
        self.config.extend(right.config);
        self.set.extend(right.set);
        Self { log_format: right.log_format.or(self.log_format), log: right.log.or(self.log), ..self }
    }

    /// The layers of the configuration, lowest first; mounted copies of ConfigMaps as what they are.
    fn layers(&self) -> Vec<Layer> {
        let layers = self.own_layers();
        ConfigMaps::of(&layers).arrange(layers)
    }

    /// The same without a look at what is a ConfigMap.
    fn own_layers(&self) -> Vec<Layer> {
        let format = self.log_format.map(|format| {
            let name = match format {
                LogFormat::Auto => "auto",
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            };
            ("--log-format", "telemetry.log.format", name.to_owned())
        });
        let filter = self.log.clone().map(|filter| ("--log", "telemetry.log.filter", filter));
        let shorthands = format.into_iter().chain(filter).collect();
        layers(&Flags { files: self.config.clone(), set: self.set.clone(), shorthands })
    }

    /// The effective configuration.
    fn load(&self) -> Result<Loaded, Failure> {
        load(&self.layers()).map_err(Failure::Config)
    }

    /// The same for a command that takes no ping: it needs no privacy key.
    fn load_without_privacy(&self) -> Result<Loaded, Failure> {
        let mut layers = self.layers();
        layers.push(Layer::flag("this command", "privacy.identifiers", "none"));
        load_to_start(&layers).map_err(Failure::Config)
    }

    /// The configuration to start with: a ConfigMap that is followed never keeps a server from starting, whatever it says.
    fn load_to_serve(&self) -> Result<Loaded, Failure> {
        load_to_start(&self.layers()).map_err(Failure::Config)
    }
}

/// Why a command ended without having done its work.
#[derive(Debug)]
pub enum Failure {
    /// It was called the wrong way, or asked for help.
    Usage(clap::Error),
    /// The configuration is wrong.
    Config(Vec<Complaint>),
    /// It was said why already; what the process ends with.
    Told(u8),
    /// What was to be checked cannot be.
    Unchecked(String),
    /// It failed while running.
    Running(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// A failure while running.
    pub fn running(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Running(error.into())
    }

    /// What the configuration names cannot be used.
    fn of_key(loaded: &Loaded, key: &str, error: &(dyn Error + 'static)) -> Self {
        let origin = loaded.origins.get(key).cloned().unwrap_or_default();
        Self::Config(vec![Complaint::new(origin, key, with_causes(error))])
    }

    /// The store cannot be opened: the fault of a key, or of the place.
    fn of_store(loaded: &Loaded, error: OpenError) -> Self {
        let of_file = |file: &Option<PathBuf>, path: &PathBuf| file.as_ref() == Some(path);
        let key = match &error {
            OpenError::Scheme | OpenError::SqlitePath | OpenError::PostgresUrl => "store.url",
            OpenError::File { path, .. } if of_file(&loaded.store.password_file, path) => "store.password_file",
            OpenError::File { path, .. } if of_file(&loaded.store.ssl_root_cert, path) => "store.ssl_root_cert",
            _ => return Self::running(error),
        };
        Self::of_key(loaded, key, &error)
    }

    /// The privacy rules cannot be had: the fault of a key, or of the embedded store's folder.
    fn of_rules(loaded: &Loaded, error: RulesError) -> Self {
        if let RulesError::Own { .. } = error {
            Self::running(error)
        } else {
            Self::of_key(loaded, "privacy.key_file", &error)
        }
    }

    /// What the process ends with: 1 if it failed while running, 2 for usage and configuration.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Config(_) | Self::Unchecked(_) => 2,
            Self::Running(_) => 1,
            Self::Told(code) => *code,
        }
    }

    /// As a line of the log where a program reads the lines: it could not read any other.
    fn logged(self, is_json: bool) -> Self {
        if !is_json || !tracing::event_enabled!(tracing::Level::ERROR) {
            return self;
        }
        tracing::error!("{self}");
        Self::Told(self.code())
    }

    /// Tells the reader of the terminal; help goes to stdout.
    pub fn report(&self) {
        match self {
            // Nothing can be done when the terminal is gone.
            Self::Usage(error) => drop(error.print()),
            Self::Told(_) => {}
            Self::Config(_) | Self::Unchecked(_) | Self::Running(_) => eprintln!("nutritionfacts: {self}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Config(complaints) => {
                f.write_str("the configuration is wrong")?;
                complaints.iter().try_for_each(|complaint| write!(f, "\n  {complaint}"))
            }
            Self::Told(_) => f.write_str("it was said why"),
            Self::Unchecked(reason) => f.write_str(reason),
            Self::Running(error) => f.write_str(&with_causes(error.as_ref())),
        }
    }
}

/// The message of an error, then those of its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs the command that the arguments name.
///
/// # Errors
///
/// Why it did not do its work; the caller reports it and ends the process with its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let Cli { shared, command } = Cli::try_parse_from(arguments).map_err(Failure::Usage)?;
    match command {
        Command::Serve(with) => {
            let shared = shared.and(with.shared);
            let loaded = shared.load_to_serve()?;
            // Outlives the runtime: the last traces are sent whatever has happened.
            let telemetry = telemetry::start(&loaded.config.telemetry).map_err(Failure::running)?;
            block_on(with.options.run(loaded, telemetry.controls.clone(), move || shared.own_layers()))
                .map_err(|failure| failure.logged(telemetry.is_json))
        }
        Command::Migrate(with) => {
            let loaded = shared.and(with.shared).load_without_privacy()?;
            let log = telemetry::start_log(&loaded.config.telemetry.log);
            block_on(with.options.run(loaded)).map_err(|failure| failure.logged(log.is_json))
        }
        Command::Ping(options) => block_on(options.run()),
        Command::Report(with) => block_on(with.options.run(shared.and(with.shared).load_without_privacy()?)),
        Command::Config(options) => options.run(shared),
        Command::Messages(options) => options.run(shared),
        Command::Openapi => config::print(&openapi::text()),
        Command::Crd => config::print(&kolibri_message::yaml()),
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::running)?;
    let result = runtime.block_on(command);
    // A thread that waits for a file system which does not answer is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
