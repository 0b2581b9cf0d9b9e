//! Defaults of each kind of panel: options and field settings.
//!
//! All that Grafana's types require; `scripts/test-dashboards` checks that.

use serde_json::{Map, Value, json};

use super::source::{Kind, Panel};

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Barchart => "barchart",
            Self::Bargauge => "bargauge",
            Self::Heatmap => "heatmap",
            Self::Piechart => "piechart",
            Self::Stat => "stat",
            Self::StateTimeline => "state-timeline",
            Self::Table => "table",
            Self::Timeseries => "timeseries",
        }
    }
}

pub fn options(panel: &Panel) -> Value {
    let legend = json!({"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []});
    let no_legend = json!({"showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": []});
    let tooltip = json!({"mode": "multi", "sort": "desc", "hideZeros": false});
    // In a table each row is a value, in a series only the last one.
    let of_table = panel.queries.iter().any(|query| query.sql.is_some()) && panel.kind != Kind::Stat;
    let last = json!({"calcs": ["lastNotNull"], "fields": "", "values": of_table});
    let mut options = match panel.kind {
        Kind::Barchart => json!({
            "barRadius": 0, "barWidth": 0.8, "fullHighlight": false, "groupWidth": 0.8, "legend": legend,
            "orientation": "auto", "showValue": "auto", "stacking": stacking(panel), "text": {}, "tooltip": tooltip,
            "xTickLabelMaxLength": 0, "xTickLabelRotation": 0, "xTickLabelSpacing": 100,
        }),
        Kind::Bargauge => json!({
            "displayMode": "basic", "legend": no_legend, "maxVizHeight": 300, "minVizHeight": 16, "minVizWidth": 8,
            "namePlacement": "auto", "orientation": "horizontal", "reduceOptions": last, "showUnfilled": true,
            "sizing": "auto", "text": {}, "valueMode": "color",
        }),
        Kind::Heatmap => json!({
            "calculate": false, "cellGap": 1, "color": {
                "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": false, "scale": "exponential",
                "scheme": "Oranges", "steps": 64,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": true},
            "rowsFrame": {"layout": "auto"}, "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": true, "yHistogram": false},
            "yAxis": {"axisPlacement": "left", "reverse": false, "unit": panel.unit},
        }),
        Kind::Piechart => {
            let legend = json!({
                "showLegend": true, "displayMode": "table", "placement": "right", "calcs": [],
                "values": ["value", "percent"],
            });
            json!({
                "displayLabels": [], "legend": legend, "orientation": "auto", "pieType": "donut",
                "reduceOptions": last, "sort": "desc", "text": {}, "tooltip": {"mode": "single", "sort": "none", "hideZeros": false},
            })
        }
        Kind::Stat => json!({
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto",
            "percentChangeColorMode": "standard", "reduceOptions": last, "showPercentChange": false, "text": {},
            "textMode": "auto", "wideLayout": true,
        }),
        Kind::StateTimeline => json!({
            "alignValue": "left", "legend": no_legend, "mergeValues": true, "rowHeight": 0.8, "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none", "hideZeros": false},
        }),
        Kind::Table => json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true}),
        Kind::Timeseries => json!({"legend": legend, "tooltip": tooltip}),
    };
    lay_over(&mut options, &panel.options);
    options
}

/// Field settings: `fieldConfig.defaults.custom`.
pub fn custom(panel: &Panel) -> Value {
    let stacking = json!({"mode": stacking(panel), "group": "A"});
    let shown = json!({"legend": false, "tooltip": false, "viz": false});
    let threshold_lines = if panel.thresholds.is_empty() { "off" } else { "dashed" };
    let mut custom = match panel.kind {
        Kind::Bargauge | Kind::Stat => json!({}),
        Kind::Barchart => json!({
            "axisBorderShow": false, "axisPlacement": "auto", "fillOpacity": 80, "gradientMode": "none",
            "hideFrom": shown, "lineWidth": 1, "thresholdsStyle": {"mode": "off"},
        }),
        Kind::Heatmap => json!({"hideFrom": shown, "scaleDistribution": {"type": "linear"}}),
        Kind::Piechart => json!({"hideFrom": shown}),
        Kind::StateTimeline => {
            json!({"axisPlacement": "auto", "fillOpacity": 70, "hideFrom": shown, "lineWidth": 0})
        }
        Kind::Table => json!({"align": "auto", "cellOptions": {"type": "auto"}, "hideFrom": shown, "inspect": false}),
        Kind::Timeseries => json!({
            "axisBorderShow": false, "axisPlacement": "auto", "drawStyle": "line",
            "fillOpacity": if panel.stacked { 30 } else { 8 }, "gradientMode": "none", "hideFrom": shown,
            "lineInterpolation": "linear", "lineWidth": 1, "pointSize": 5, "scaleDistribution": {"type": "linear"},
            "showPoints": "auto", "spanNulls": false, "stacking": stacking,
            "thresholdsStyle": {"mode": threshold_lines},
        }),
    };
    lay_over(&mut custom, &panel.custom);
    custom
}

fn stacking(panel: &Panel) -> &'static str {
    if panel.stacked { "normal" } else { "none" }
}

fn lay_over(below: &mut Value, above: &Map<String, Value>) {
    for (name, value) in above {
        match value {
            Value::Object(fields) if below[name].is_object() => lay_over(&mut below[name], fields),
            _ => below[name] = value.clone(),
        }
    }
}
