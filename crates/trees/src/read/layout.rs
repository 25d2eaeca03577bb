//! Puts a tree's nodes, read in whatever order, into the order of [`Tree`], and makes sure on the
//! way that they form a tree.

use crate::ensemble::{Node, Tree};

/// Where two branches of a split lead; indices of the file's nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Children {
    pub(super) left: usize,
    pub(super) right: usize,
}

/// The place of a child that can be no node.
pub(super) const NOWHERE: usize = usize::MAX;

/// Lays the tree with `count` nodes out whose root is node 0. `children` names the children of a
/// split and tells leaves by `None`; `node` makes a node, with the children's new indices.
/// Nodes that the root does not lead to (XGBoost keeps those it pruned) are left out.
pub(super) fn lay_out<E>(
    count: usize,
    group: usize,
    children: impl Fn(usize) -> Option<Children>,
    mut node: impl FnMut(usize, Children) -> Result<Node, E>,
    wrong: impl Fn(usize, String) -> E,
) -> Result<Tree, E> {
    // Breadth first: the children of each split stand next to each other.
    let mut order = vec![0];
    let mut seen = vec![false; count];
    seen[0] = true;
    let mut nodes = Vec::new();
    let mut at = 0;
    while at < order.len() {
        let index = order[at];
        let mut places = Children { left: 0, right: 0 };
        if let Some(children) = children(index) {
            for child in [children.left, children.right] {
                if child == NOWHERE {
                    return Err(wrong(index, "a child out of range".to_owned()));
                }
                if child >= count {
                    return Err(wrong(index, format!("child {child} of {count} nodes")));
                }
                if seen[child] {
                    return Err(wrong(index, format!("node {child} is reached twice")));
                }
                seen[child] = true;
                order.push(child);
            }
            places = Children { left: order.len() - 2, right: order.len() - 1 };
        }
        nodes.push(node(index, places)?);
        at += 1;
    }
    Ok(Tree { group, nodes })
}
