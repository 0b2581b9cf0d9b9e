// Types of Grafana's package for a dashboard in JSON, and of queries, which it leaves to data sources.
import type {
  AnnotationQuery, Dashboard, DataSourceRef, FieldConfig as Field, MatcherConfig, Panel as AnyPanel, RowPanel, VariableModel,
} from '@grafana/schema';

/** With the values of enumerations in their place. */
export type Plain<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

export type Frame = Plain<Omit<Dashboard, 'panels' | 'annotations' | 'templating'>>;
export type Row = Plain<RowPanel>;
export type Variable = Plain<VariableModel>;
export type Panel = Plain<Omit<AnyPanel, 'options' | 'fieldConfig' | 'targets'>>;
export type Defaults = Plain<Omit<Field, 'custom'>>;
export type Matcher = Plain<MatcherConfig>;

/** Of Prometheus, `target` is what Grafana 12 reads; those before read what is beside it. */
export type Annotation = Plain<Omit<AnnotationQuery, 'target'>> & {
  target?: { refId: string; expr: string; interval: string };
  expr?: string;
  step?: string;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
};

interface Query {
  refId: string;
  datasource: DataSourceRef;
  editorMode: 'code';
}
export interface Prometheus extends Query {
  expr: string;
  legendFormat: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  range: boolean;
}
export interface Sql extends Query {
  rawQuery: true;
  rawSql: string;
  format: 'time_series' | 'table';
}
