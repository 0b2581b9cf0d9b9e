// Checks that errors are found: the compiler reports an error if there is none after such a comment.
import type { Options } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Defaults, Frame, Panel, Plain } from './types';

// @ts-expect-error: a mistyped option
export const mistyped: Plain<Options> = { frameIndex: 0, showHeader: true, sortby: [] };
// @ts-expect-error: a required option is missing
export const missing: Plain<Options> = { frameIndex: 0 };
// @ts-expect-error: a value that is not in its enumeration
export const value: Plain<Options> = { frameIndex: 0, showHeader: true, cellHeight: 'huge' };
// @ts-expect-error: a value of another type
export const unit: Defaults = { unit: 5 };
// @ts-expect-error: an unknown mode
export const color: Defaults = { color: { mode: 'rainbow' } };
// @ts-expect-error: a mistyped field
export const panel: Panel = { type: 'table', gridpos: { x: 0, y: 0, w: 1, h: 1 } };
// @ts-expect-error: an unknown cursor
export const cursor: Frame = { schemaVersion: 42, graphTooltip: 3 };

export const right: Plain<Options> = { frameIndex: 0, showHeader: true, cellHeight: 'sm' };
