//! Where steps and arrows go in a drawing: each step in a layer below all that it waits for, with few
//! crossings. Lengths are pixels.

use std::collections::BTreeMap;

use bessemer_pipelines::Definition;

use super::arrows;

/// The height of a step.
pub(super) const HEIGHT: f64 = 46.0;

/// Between two layers, and between two steps of one.
const GAP: (f64, f64) = (28.0, 52.0);

/// Around it all.
const MARGIN: f64 = 16.0;

/// How wide an arrow is that passes a layer.
const PASS: f64 = 12.0;

/// How often layers are put in order, and how often moved.
const SWEEPS: usize = 12;

/// A drawing's places.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The steps' centres, and how wide each is, in the order of the definition.
    pub(super) steps: Vec<(f64, f64, f64)>,
    pub(super) arrows: Vec<Arrow>,
}

/// An arrow from one step down to another.
pub(super) struct Arrow {
    pub(super) label: Option<&'static str>,
    /// From the first to the last, with those at which it enters and leaves layers between.
    pub(super) points: Vec<(f64, f64)>,
}

/// Something in a layer: a step, or an arrow that passes it.
struct Slot {
    width: f64,
    x: f64,
    layer: usize,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// A way from step to step: the slots that it leads through.
struct Way {
    label: Option<&'static str>,
    slots: Vec<usize>,
}

impl Layout {
    pub(super) fn of(definition: &Definition) -> Self {
        let (mut slots, ways) = slots(definition);
        let mut layers: Vec<Vec<usize>> = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            layers.resize(layers.len().max(slot.layer + 1), Vec::new());
            layers[slot.layer].push(index);
        }
        order(&mut layers, &slots);
        place(&layers, &mut slots);
        let left = slots.iter().map(|slot| slot.x - slot.width / 2.0).fold(f64::MAX, f64::min);
        for slot in &mut slots {
            slot.x += MARGIN - left;
        }
        let right = slots.iter().map(|slot| slot.x + slot.width / 2.0).fold(0.0, f64::max);
        let top = |layer: usize| MARGIN + layer as f64 * (HEIGHT + GAP.1);
        let steps = slots.iter().take(definition.steps.len());
        let steps = steps.map(|slot| (slot.x, top(slot.layer) + HEIGHT / 2.0, slot.width));
        let points = |way: &Way| {
            let both = way.slots.iter().flat_map(|index| {
                let (x, y) = (slots[*index].x, top(slots[*index].layer));
                [(x, y), (x, y + HEIGHT)]
            });
            let all: Vec<(f64, f64)> = both.collect();
            all[1..all.len() - 1].to_vec()
        };
        Self {
            width: right + MARGIN,
            height: top(layers.len()) - GAP.1 + MARGIN,
            steps: steps.collect(),
            arrows: ways
                .iter()
                .map(|way| Arrow { label: way.label, points: points(way) })
                .collect(),
        }
    }
}

/// The steps, and then what stands for arrows in the layers that they pass.
fn slots(definition: &Definition) -> (Vec<Slot>, Vec<Way>) {
    let places: BTreeMap<&str, usize> =
        definition.steps.iter().enumerate().map(|(at, step)| (step.name.as_str(), at)).collect();
    let of = definition.steps.iter();
    let of = of.map(|step| step.waits_for.iter().map(|name| places[name.as_str()]).collect());
    let waits: Vec<Vec<usize>> = of.collect();
    let mut depths = vec![0; waits.len()];
    // There is no circle: no way is longer than there are steps.
    for _ in &waits {
        for (step, others) in waits.iter().enumerate() {
            let least = others.iter().map(|other| depths[*other] + 1).max().unwrap_or(0);
            depths[step] = least;
        }
    }
    let slot =
        |width: f64, layer| Slot { width, x: 0.0, layer, above: Vec::new(), below: Vec::new() };
    let sized = definition.steps.iter().zip(&depths);
    let mut slots: Vec<Slot> = sized
        .map(|(step, depth)| slot(32.0 + 7.5 * step.name.len().max(9) as f64, *depth))
        .collect();
    let mut ways = Vec::new();
    for (to, step) in definition.steps.iter().enumerate() {
        for (name, label) in arrows(step) {
            let from = places[name];
            let mut way = vec![from];
            for layer in depths[from] + 1..depths[to] {
                way.push(slots.len());
                slots.push(slot(PASS, layer));
            }
            way.push(to);
            for pair in way.windows(2) {
                slots[pair[0]].below.push(pair[1]);
                slots[pair[1]].above.push(pair[0]);
            }
            ways.push(Way { label, slots: way });
        }
    }
    (slots, ways)
}

/// Puts each layer in the order of what its slots are connected with, downwards and upwards in turn.
fn order(layers: &mut [Vec<usize>], slots: &[Slot]) {
    let mut places = vec![0.0; slots.len()];
    for layer in layers.iter() {
        layer.iter().enumerate().for_each(|(place, slot)| places[*slot] = place as f64);
    }
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        for at in 0..layers.len() {
            let layer = if is_down { at } else { layers.len() - 1 - at };
            let wanted = |slot: usize| {
                let near = if is_down { &slots[slot].above } else { &slots[slot].below };
                mean(near.iter().map(|other| places[*other])).unwrap_or(places[slot])
            };
            let mut keyed: Vec<(f64, usize)> =
                layers[layer].iter().map(|slot| (wanted(*slot), *slot)).collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            layers[layer] = keyed.iter().map(|(_, slot)| *slot).collect();
            for (place, slot) in layers[layer].iter().enumerate() {
                places[*slot] = place as f64;
            }
        }
    }
}

/// Moves slots towards what they are connected with, as far as their neighbours let them.
fn place(layers: &[Vec<usize>], slots: &mut [Slot]) {
    for sweep in 0..=SWEEPS {
        let is_down = sweep % 2 == 0;
        for at in 0..layers.len() {
            let layer = &layers[if is_down { at } else { layers.len() - 1 - at }];
            let wanted: Vec<f64> = layer
                .iter()
                .map(|slot| {
                    let near = if is_down { &slots[*slot].above } else { &slots[*slot].below };
                    mean(near.iter().map(|other| slots[*other].x)).unwrap_or(slots[*slot].x)
                })
                .collect();
            let mut free = f64::MIN;
            for (slot, wanted) in layer.iter().zip(&wanted) {
                let half = slots[*slot].width / 2.0;
                slots[*slot].x = wanted.max(free + half);
                free = slots[*slot].x + half + GAP.0;
            }
            let off = layer.iter().zip(&wanted).map(|(slot, wanted)| wanted - slots[*slot].x);
            let shift = mean(off).unwrap_or(0.0);
            for slot in layer {
                slots[*slot].x += shift;
            }
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), one| (sum + one, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
