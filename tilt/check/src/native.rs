//! What `builtins.star` cannot do itself.

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value as Json, json};
use starlark::{
    environment::GlobalsBuilder,
    eval::Evaluator,
    starlark_module,
    values::{Value, none::NoneType},
};

use crate::{Call, ROOT, State};

#[starlark_module]
pub fn functions(builder: &mut GlobalsBuilder) {
    /// Writes a call down.
    fn _record<'v>(function: &str, arguments: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> anyhow::Result<NoneType> {
        let call = Call { function: function.into(), arguments: arguments.to_json_value()? };
        state(eval)?.calls.borrow_mut().push(call);
        Ok(NoneType)
    }

    /// Writes down which paths a function takes.
    fn _path<'v>(function: &str, paths: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> anyhow::Result<NoneType> {
        let arguments = json!({"function": function, "paths": paths.to_json_value()?});
        state(eval)?.calls.borrow_mut().push(Call { function: "path".into(), arguments });
        Ok(NoneType)
    }

    fn _world(key: &str, eval: &mut Evaluator<'_, '_, '_>) -> anyhow::Result<String> {
        let world = &state(eval)?.world;
        match key {
            "context" => Ok(world.context.clone()),
            "subcommand" => Ok(world.subcommand.clone()),
            _ => bail!("nothing is known of {key}"),
        }
    }

    /// `config.parse()`: what is set must be defined, and of its type.
    fn _parse<'v>(eval: &mut Evaluator<'v, '_, '_>) -> anyhow::Result<Value<'v>> {
        let state = state(eval)?;
        for (name, value) in &state.world.settings {
            let calls = state.calls.borrow();
            let mut definitions = calls.iter().filter(|call| call.function == "define").map(|call| &call.arguments);
            let definition = definitions.find(|definition| definition["name"] == *name);
            let kind = definition.ok_or_else(|| anyhow!("no setting is called {name}"))?["kind"].clone();
            let fits = match value {
                Json::String(_) => kind == "string",
                Json::Bool(_) => kind == "bool",
                Json::Array(_) => kind == "list",
                _ => false,
            };
            if !fits {
                bail!("{name} is {value}, and should be a {kind}");
            }
        }
        let settings = Json::Object(state.world.settings.clone());
        Ok(eval.heap().alloc(settings))
    }

    fn _read(path: &str) -> anyhow::Result<String> {
        fs::read_to_string(Path::new(ROOT).join(path)).with_context(|| path.to_owned())
    }

    fn _decode_yaml<'v>(text: &str, eval: &mut Evaluator<'v, '_, '_>) -> anyhow::Result<Value<'v>> {
        let documents = serde_saphyr::from_multiple::<Json>(text).map_err(|error| anyhow!("{error}"))?;
        Ok(eval.heap().alloc(Json::Array(documents)))
    }

    fn _encode_yaml<'v>(objects: Value<'v>) -> anyhow::Result<String> {
        // JSON is YAML.
        let objects = objects.to_json_value()?;
        let objects = objects.as_array().context("a list is wanted")?;
        Ok(objects.iter().map(Json::to_string).collect::<Vec<_>>().join("\n---\n"))
    }

    /// What renders the objects: the real tools.
    fn _run<'v>(program: &str, arguments: Value<'v>) -> anyhow::Result<String> {
        let arguments = strings(&arguments.to_json_value()?)?;
        let hint = "install Helm and kubectl: docs/testing.md";
        let helm = env::var_os("HELM").filter(|_| program == "helm");
        let program = helm.map_or_else(|| program.to_owned(), |helm| helm.to_string_lossy().into_owned());
        let output = Command::new(&program).args(arguments).current_dir(ROOT).output();
        said(output.with_context(|| format!("cannot run `{program}`; {hint}"))?)
    }

    /// A command that the Tiltfile runs at once. Those of the tree are run, others are only written down: nothing here is
    /// to change the tree.
    fn _local<'v>(command: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> anyhow::Result<String> {
        let command = strings(&command.to_json_value()?)?;
        let (program, arguments) = command.split_first().context("the command is empty")?;
        let file = Path::new(ROOT).join(program);
        if !program.contains('/') {
            return Ok(String::new());
        }
        let output =
            Command::new(file).args(arguments).current_dir(ROOT).env("PATH", &state(eval)?.world.path).output();
        said(output.with_context(|| program.clone())?)
    }
}

/// What a command printed; if it failed, what it complained about.
fn said(output: Output) -> anyhow::Result<String> {
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(anyhow!(String::from_utf8(output.stderr)?))
    }
}

fn strings(list: &Json) -> anyhow::Result<Vec<String>> {
    // A text would go through a shell, in which names may mean something else.
    let list = list.as_array().context("write the command as a list")?;
    list.iter().map(|item| item.as_str().map(str::to_owned).context("a text is wanted")).collect()
}

fn state<'a>(eval: &Evaluator<'_, 'a, '_>) -> anyhow::Result<&'a State> {
    eval.extra.and_then(|extra| extra.downcast_ref::<State>()).context("there is no state")
}
