// Writes each dashboard as TypeScript, each part with its type, and runs the compiler.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const tools = resolve(process.argv[2]);
const here = dirname(fileURLToPath(import.meta.url));
const folder = join(tools, 'check');
const schema = join(tools, 'node_modules/@grafana/schema');
const published = JSON.parse(readFileSync(join(schema, 'package.json'), 'utf8')).exports;

/** The module that has the types of a kind of panel, and what it has. */
function kind(type) {
  const path = Object.keys(published).find((path) => path.includes(`/composable/${type.replaceAll('-', '')}/panelcfg/`));
  if (!path) throw new Error(`Grafana has no types of the panel ${type}`);
  const text = readFileSync(join(schema, published[path].types), 'utf8');
  return { module: path.replace(/^\./, '@grafana/schema'), hasFields: text.includes('interface FieldConfig') };
}

function typescript(dashboard) {
  const lines = ["import type * as grafana from './types';"];
  const imported = new Map();
  const say = (name, type, value) =>
    lines.push(`export const ${name.replaceAll(/\W+/g, '_')}: ${type} = ${JSON.stringify(value, null, 2)};`);

  const { panels, annotations, templating, ...frame } = dashboard;
  say('dashboard', 'grafana.Frame', frame);
  annotations.list.forEach((annotation) => say(`annotation ${annotation.name}`, 'grafana.Annotation', annotation));
  templating.list.forEach((variable) => say(`variable ${variable.name}`, 'grafana.Variable', variable));

  for (const panel of panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
    const name = `panel ${panel.id}`;
    if (panel.type === 'row') {
      say(name, 'grafana.Row', { ...panel, panels: [] });
      continue;
    }
    const { options, fieldConfig, targets, ...rest } = panel;
    const { module, hasFields } = kind(panel.type);
    const alias = panel.type.replaceAll('-', '');
    imported.set(alias, `import type * as ${alias} from '${module}';`);
    const fields = hasFields ? `grafana.Plain<${alias}.FieldConfig>` : 'Record<string, never>';
    const { custom, ...defaults } = fieldConfig.defaults;
    say(name, 'grafana.Panel', rest);
    say(`${name} options`, `grafana.Plain<${alias}.Options>`, options);
    say(`${name} defaults`, 'grafana.Defaults', defaults);
    say(`${name} custom`, fields, custom);
    fieldConfig.overrides.forEach(({ matcher, properties }) => {
      const of = `${name} override ${matcher.options}`;
      const split = (isCustom) => Object.fromEntries(properties
        .filter(({ id }) => id.startsWith('custom.') === isCustom)
        .map(({ id, value }) => [id.replace('custom.', ''), value]));
      say(`${of} matcher`, 'grafana.Matcher', matcher);
      say(`${of} fields`, 'grafana.Defaults', split(false));
      say(`${of} custom`, `Partial<${fields}>`, split(true));
    });
    targets.forEach((target) =>
      say(`${name} query ${target.refId}`, 'expr' in target ? 'grafana.Prometheus' : 'grafana.Sql', target));
  }
  return [...imported.values(), ...lines].join('\n');
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const file of ['types.ts', 'faults.ts']) copyFileSync(join(here, file), join(folder, file));
const dashboards = join(here, '../../dashboards');
const names = readdirSync(dashboards).filter((name) => name.endsWith('.json'));
if (names.length === 0) throw new Error('there are no dashboards');
const written = new Map();
for (const name of names) {
  const text = typescript(JSON.parse(readFileSync(join(dashboards, name), 'utf8')));
  const file = `${basename(name, '.json')}.dashboard.ts`;
  writeFileSync(join(folder, file), text);
  written.set(file, text.split('\n'));
}
const compilerOptions = {
  strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true, types: [],
};
writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
const compiler = join(tools, 'node_modules/.bin/tsc');
const { status, stdout, stderr, error } = spawnSync(compiler, ['--project', '.', '--pretty', 'false'], { cwd: folder, encoding: 'utf8' });
if (error) throw error;

/** The place in a dashboard instead of that in the file made of it. */
function place(line) {
  const [, file, number] = line.match(/^([^(]+)\((\d+),/) ?? [];
  const names = written.get(file)?.slice(0, Number(number)).map((text) => text.match(/^export const (\w+):/)?.[1]);
  return names ? line.replace(/^[^:]+/, `${file.replace('.dashboard.ts', '.json')}: ${names.filter(Boolean).at(-1)}`) : line;
}
process.stderr.write((stdout + stderr).split('\n').map(place).join('\n'));
console.log(`${names.length} dashboards against @grafana/schema, ${status === 0 ? 'no faults' : 'with faults'}`);
process.exit(status ?? 1);
