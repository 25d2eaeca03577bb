//! A pipeline as SVG, which browsers and repositories show.

use bessemer_pipelines::{Definition, StepKind};

use super::layers::{Arrow, HEIGHT, Layout};

const STYLE: &str = "text{font:13px ui-sans-serif,system-ui,sans-serif;text-anchor:middle;fill:#1f2933}\
    .kind{font-size:11px;fill:#62717f}.label{font-size:11px;fill:#3d4c5a;paint-order:stroke;stroke:#fff;\
    stroke-width:4px}.arrow{fill:none;stroke:#7b8794;stroke-width:1.4}";

/// The drawing. Names of steps have no characters that XML would take for its own.
pub(super) fn draw(definition: &Definition) -> String {
    let layout = Layout::of(definition);
    let (width, height) = (layout.width, layout.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#7b8794\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    layout.arrows.iter().for_each(|arrow| text.push_str(&line(arrow)));
    for (step, (x, y, width)) in definition.steps.iter().zip(&layout.steps) {
        let (left, top) = (x - width / 2.0, y - HEIGHT / 2.0);
        let (round, fill, stroke) = match step.kind {
            StepKind::Condition(_) => (HEIGHT / 2.0, "#fdf6e0", "#d9a520"),
            StepKind::Fail => (6.0, "#fdeaea", "#c94f4f"),
            _ => (6.0, "#eaf2fb", "#5b8fc7"),
        };
        let (name, kind) = (&step.name, step.kind.as_str());
        text.push_str(&format!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT:.1}\" \
             rx=\"{round}\" fill=\"{fill}\" stroke=\"{stroke}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\">{name}</text>\
             <text class=\"kind\" x=\"{x:.1}\" y=\"{:.1}\">{kind}</text>\n",
            y - 2.0,
            y + 14.0,
        ));
    }
    text + "</svg>\n"
}

/// A line that bends between layers and goes straight through those that it passes.
fn line(arrow: &Arrow) -> String {
    let Some((first, rest)) = arrow.points.split_first() else { return String::new() };
    let mut path = format!("M{:.1} {:.1}", first.0, first.1);
    let mut from = *first;
    for (index, (x, y)) in rest.iter().enumerate() {
        if index % 2 == 0 {
            let middle = f64::midpoint(from.1, *y);
            path.push_str(&format!("C{:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}", from.0));
        } else {
            path.push_str(&format!("V{y:.1}"));
        }
        from = (*x, *y);
    }
    let mut text = format!("<path class=\"arrow\" marker-end=\"url(#head)\" d=\"{path}\"/>");
    if let (Some(label), Some(second)) = (arrow.label, rest.first()) {
        let (x, y) = (f64::midpoint(first.0, second.0), f64::midpoint(first.1, second.1) + 4.0);
        text.push_str(&format!("<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>"));
    }
    text + "\n"
}
