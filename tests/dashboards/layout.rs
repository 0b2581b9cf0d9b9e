//! Positions of panels: in lines from the left, each as high as its highest panel.

use serde_json::{Value, json};

use super::source::{Kind, Panel};

/// Grafana's grid.
const WIDTH: u32 = 24;

pub struct Layout {
    x: u32,
    y: u32,
    line: u32,
}

impl Layout {
    pub fn new() -> Self {
        Self { x: 0, y: 0, line: 0 }
    }

    /// The title of a row has a line of its own.
    pub fn row(&mut self) -> Value {
        self.end_line();
        self.place(WIDTH, 1)
    }

    pub fn panel(&mut self, panel: &Panel) -> Value {
        let (width, height) = match panel.kind {
            Kind::Stat => (4, 4),
            _ => (12, 8),
        };
        self.place(panel.width.unwrap_or(width), panel.height.unwrap_or(height))
    }

    fn place(&mut self, width: u32, height: u32) -> Value {
        if self.x + width > WIDTH {
            self.end_line();
        }
        let place = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x += width;
        self.line = self.line.max(height);
        place
    }

    fn end_line(&mut self) {
        *self = Self { x: 0, y: self.y + self.line, line: 0 };
    }
}
