//! The command line: the only module that imports all others.

mod clock;
pub mod config;
pub mod messages;
pub mod migrate;
pub mod ping;
mod privacy_key;
mod reconfigure;
pub mod report;
pub mod serve;

use std::{env::ArgsOs, error::Error, fmt, path::PathBuf, process::ExitCode, time::Duration};

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
    /// Apply pending migrations of the store and exit; safe to run many at once
    Migrate(With<migrate::Options>),
    /// Send one ping to a server and check that it is stored
    Ping(ping::Options),
    /// Report which installations were active in a period, by system, version, country and language
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

/// Flags of one command together with the common flags.
///
/// The common flags may stand before the command, after it, or both. With clap's `global`, flags before the command
/// would be dropped silently if there are also some after it, and with them a whole layer of configuration.
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
    /// Configuration file; may be repeated, later files override earlier ones; replaces `NUTRITIONFACTS_CONFIG`
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Sets one key of the configuration; may be repeated
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Format of log lines
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// Filter for log lines, such as `info` or `nutritionfacts=debug,sqlx=warn`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Shared {
    /// These flags, overridden by those after the command.
    fn and(mut self, right: Self) -> Self {
        self.config.extend(right.config);
        self.set.extend(right.set);
        Self { log_format: right.log_format.or(self.log_format), log: right.log.or(self.log), ..self }
    }

    /// The layers of the configuration, lowest first; mounted copies of ConfigMaps count as ConfigMaps.
    fn layers(&self) -> Vec<Layer> {
        let layers = self.own_layers();
        ConfigMaps::of(&layers).arrange(layers)
    }

    /// The layers as they are, with mounted copies of ConfigMaps as plain files.
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

    /// The effective configuration for a command that stores no pings and so needs no privacy key.
    fn load_without_privacy(&self) -> Result<Loaded, Failure> {
        let mut layers = self.layers();
        layers.push(Layer::flag("this command", "privacy.identifiers", "none"));
        load_to_start(&layers).map_err(Failure::Config)
    }

    /// The configuration to start with: an invalid ConfigMap that is followed does not prevent the start.
    fn load_to_serve(&self) -> Result<Loaded, Failure> {
        load_to_start(&self.layers()).map_err(Failure::Config)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage, or a request for help.
    Usage(clap::Error),
    /// The configuration is invalid.
    Config(Vec<Complaint>),
    /// The reason was already printed; holds the exit code.
    Told(u8),
    /// The input that was to be checked cannot be read, or there is none.
    Unchecked(String),
    /// A failure at run time.
    Running(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// A failure at run time.
    pub fn running(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Running(error.into())
    }

    /// A configured file cannot be used: an error of this key.
    fn of_key(loaded: &Loaded, key: &str, error: &(dyn Error + 'static)) -> Self {
        let origin = loaded.origins.get(key).cloned().unwrap_or_default();
        Self::Config(vec![Complaint::new(origin, key, with_causes(error))])
    }

    /// The store cannot be opened: an error of a key, or of the environment.
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

    /// The privacy rules cannot be loaded: an error of a key, or of the embedded store's folder.
    fn of_rules(loaded: &Loaded, error: RulesError) -> Self {
        if let RulesError::Own { .. } = error {
            Self::running(error)
        } else {
            Self::of_key(loaded, "privacy.key_file", &error)
        }
    }

    /// Exit code: 1 for failures at run time, 2 for usage and configuration.
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

    /// Logs the failure if the log is JSON, since log collectors read nothing else.
    fn logged(self, is_json: bool) -> Self {
        if !is_json || !tracing::event_enabled!(tracing::Level::ERROR) {
            return self;
        }
        tracing::error!("{self}");
        Self::Told(self.code())
    }

    /// Prints the failure on stderr; help goes to stdout.
    pub fn report(&self) {
        match self {
            // Nothing can be done if the terminal is closed.
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
                f.write_str("the configuration is invalid")?;
                complaints.iter().try_for_each(|complaint| write!(f, "\n  {complaint}"))
            }
            Self::Told(_) => f.write_str("the reason was printed"),
            Self::Unchecked(reason) => f.write_str(reason),
            Self::Running(error) => f.write_str(&with_causes(error.as_ref())),
        }
    }
}

/// The message of an error followed by those of its sources.
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
/// The reason of the failure; the caller reports it and exits with its exit code.
pub fn run(arguments: ArgsOs) -> Result<(), Failure> {
    let Cli { shared, command } = Cli::try_parse_from(arguments).map_err(Failure::Usage)?;
    match command {
        Command::Serve(with) => {
            let shared = shared.and(with.shared);
            let loaded = shared.load_to_serve()?;
            // Outlives the runtime, so that the last traces are always sent.
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
    // Do not wait for threads that are blocked by a hung file system.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
