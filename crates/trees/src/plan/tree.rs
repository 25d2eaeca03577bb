//! Lays one tree out.

use super::{
    FIRST_SLOT, Merge, Plan, PlanTree, Real, SLOTS, Step, Top,
    rule::{Cut, choose},
};
use crate::{
    codes::{Question, STRIDE},
    ensemble::{Node, Tree},
};

/// What is known of each node of a tree.
struct Shape {
    /// Levels below each node.
    depths: Vec<usize>,
    /// Leaves below each node, itself included.
    leaves: Vec<usize>,
}

impl Shape {
    fn new(tree: &Tree) -> Self {
        let mut depths = vec![0; tree.nodes.len()];
        let mut leaves = vec![1; tree.nodes.len()];
        // Children follow their parents.
        for (index, node) in tree.nodes.iter().enumerate().rev() {
            if let Node::Split { left, right, .. } = node {
                let (left, right) = (*left as usize, *right as usize);
                depths[index] = 1 + depths[left].max(depths[right]);
                leaves[index] = leaves[left] + leaves[right];
            }
        }
        Self { depths, leaves }
    }
}

impl<R: Real> Plan<R> {
    /// Lays `tree`, number `index` of the ensemble, out after those that are there.
    pub(super) fn add(&mut self, tree: &Tree, index: usize) {
        let shape = Shape::new(tree);
        let (top, exits) = match choose(shape.depths[0], shape.leaves[0]) {
            Cut::Complete(levels) => self.complete(tree, levels),
            Cut::Merged => self.merged(tree, &shape),
        };
        let depth = exits.iter().map(|exit| shape.depths[*exit]).max().unwrap_or(0);
        let first = if depth == 0 { self.leaves.len() } else { self.entries.len() };
        if depth == 0 {
            for exit in exits {
                if let Node::Leaf { value, id } = tree.nodes[exit] {
                    self.leaves.push(R::from_f64(value));
                    self.leaf_ids.push(id);
                }
            }
        } else {
            self.walked(tree, &exits);
        }
        self.trees.push(PlanTree { index, group: tree.group, top, exits: first, depth });
    }

    fn ask(&self, tree: &Tree, node: usize) -> (u32, i8) {
        let question = match &tree.nodes[node] {
            Node::Split { feature, test, .. } => self.book.question(*feature, test),
            Node::Leaf { .. } => Question::NONE,
        };
        (question.column * STRIDE as u32, (question.limit ^ 0x80) as i8)
    }

    /// The top `levels` levels as a complete tree, with a leaf further up in the place of all that
    /// would be below it. Also the nodes at the exits.
    fn complete(&mut self, tree: &Tree, levels: usize) -> (Top, Vec<usize>) {
        let first = self.limits.len();
        let mut level = vec![0_usize];
        for _ in 0..levels {
            let mut next = Vec::with_capacity(level.len() * 2);
            for node in level {
                let (offset, limit) = self.ask(tree, node);
                self.offsets.push(offset);
                self.limits.push(limit);
                match &tree.nodes[node] {
                    Node::Split { left, right, .. } => {
                        next.extend([*left as usize, *right as usize]);
                    }
                    Node::Leaf { .. } => next.extend([node, node]),
                }
            }
            level = next;
        }
        (Top::Complete { depth: levels, first }, level)
    }

    /// The whole tree as merges.
    fn merged(&mut self, tree: &Tree, shape: &Shape) -> (Top, Vec<usize>) {
        let first = self.merges.len();
        let mut exits = Vec::new();
        self.merge(tree, shape, 0, 0, &mut exits);
        (Top::Merged { first, count: self.merges.len() - first }, exits)
    }

    /// Merges what is below `node` into slot `slot`, with the slots after it for the way. The
    /// operand that holds the result.
    fn merge(
        &mut self,
        tree: &Tree,
        shape: &Shape,
        node: usize,
        slot: usize,
        exits: &mut Vec<usize>,
    ) -> u16 {
        let Node::Split { left, right, .. } = &tree.nodes[node] else {
            exits.push(node);
            return (exits.len() - 1) as u16;
        };
        let (left, right) = (*left as usize, *right as usize);
        let out = (FIRST_SLOT + slot) as u16;
        assert!(slot < SLOTS, "a tree of 256 leaves needs no more slots");
        let (left, right) = if shape.leaves[left] >= shape.leaves[right] {
            let left = self.merge(tree, shape, left, slot, exits);
            (left, self.merge(tree, shape, right, slot + 1, exits))
        } else {
            let right = self.merge(tree, shape, right, slot, exits);
            (self.merge(tree, shape, left, slot + 1, exits), right)
        };
        let (offset, limit) = self.ask(tree, node);
        self.merges.push(Merge { offset, left, right, out, limit });
        out
    }

    /// The nodes below `exits`, breadth first, so that the children of a node are neighbours.
    fn walked(&mut self, tree: &Tree, exits: &[usize]) {
        let base = self.steps.len();
        let mut order: Vec<usize> = exits.to_vec();
        self.entries.extend((base..base + exits.len()).map(|step| step as u32));
        let mut at = 0;
        while at < order.len() {
            let node = order[at];
            let (offset, limit) = self.ask(tree, node);
            let mut next = base + at;
            let (mut value, mut leaf) = (0.0, 0);
            match &tree.nodes[node] {
                Node::Split { left, right, .. } => {
                    next = base + order.len();
                    order.extend([*left as usize, *right as usize]);
                }
                Node::Leaf { value: held, id } => (value, leaf) = (*held, *id),
            }
            self.steps.push(Step { offset, left: next as u32, limit });
            self.step_leaves.push(R::from_f64(value));
            self.step_leaf_ids.push(leaf);
            at += 1;
        }
    }
}
