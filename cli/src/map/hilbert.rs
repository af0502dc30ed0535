//! [`Curve`]: where on a map the networks within a network lie.
//!
//! Addresses follow a Hilbert curve, so that neighbours stay neighbours and every network is a
//! square, or two beside each other. The curve begins at the top left and ends at the top right,
//! as that of the well-known maps of the Internet does: 10.0.0.0/8 lies where it does there.

use super::coverage::{first_of, net_of};
use ipnet::IpNet;

/// The curve through a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    window: IpNet,
    /// Columns and rows of cells, powers of two.
    columns: u32,
    rows: u32,
    /// The prefix length of a cell, in bits.
    cell_len: u8,
}

/// Cells of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A network with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// The bits of its first address.
    pub(crate) first: u128,
    /// In bits.
    pub(crate) prefix_len: u8,
    pub(crate) rect: Rect,
    start: (i64, i64),
    /// From the corner where the curve begins to that where it ends.
    along: (i64, i64),
    /// From the corner where it begins to the other one beside it.
    across: (i64, i64),
}

impl Curve {
    /// The most cells to a side.
    pub(crate) const MAX_ORDER: u8 = 12;

    /// Makes the curve through `window` with 2^`order` rows of cells, fewer where a row would be
    /// less than an address. A window of an odd number of bits is twice as wide as high.
    pub(crate) fn new(window: IpNet, order: u8) -> Curve {
        let bits = window.max_prefix_len() - window.prefix_len();
        let order = order.min(Curve::MAX_ORDER).min(bits / 2);
        let is_wide = bits % 2 == 1;
        let rows = 1 << order;
        let cell_len = window.prefix_len() + 2 * order + u8::from(is_wide);
        Curve { window, columns: rows << u32::from(is_wide), rows, cell_len }
    }

    /// Returns the network.
    pub(crate) fn window(&self) -> IpNet {
        self.window
    }

    /// Returns columns and rows.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.columns, self.rows)
    }

    /// Returns the prefix length of a cell, in bits.
    pub(crate) fn cell_len(&self) -> u8 {
        self.cell_len
    }

    /// Returns the squares that make the whole map: one, or two.
    pub(crate) fn roots(&self) -> Vec<Node> {
        let side = i64::from(self.rows);
        let count = self.columns / self.rows;
        let prefix_len = self.window.prefix_len() + u8::from(count == 2);
        let root = |place: u32| {
            // Behind no bits there is one part only, whose step is 0.
            let step = u128::from(place).checked_shl(self.bits_behind(prefix_len)).unwrap_or(0);
            let start = (i64::from(place) * side, 0);
            Node::new(first_of(self.window) | step, prefix_len, start, (side, 0), (0, side))
        };
        (0..count).map(root).collect()
    }

    /// Returns the quarters of a square, ascending; none for a cell.
    pub(crate) fn quarters(&self, node: &Node) -> Vec<Node> {
        if node.prefix_len >= self.cell_len {
            return Vec::new();
        }
        let prefix_len = node.prefix_len + 2;
        let half = |(x, y): (i64, i64)| (x / 2, y / 2);
        let plus = |a: (i64, i64), b: (i64, i64)| (a.0 + b.0, a.1 + b.1);
        let minus = |(x, y): (i64, i64)| (-x, -y);
        let (start, along, across) = (node.start, half(node.along), half(node.across));
        let middle = plus(start, across);
        let last = plus(plus(start, node.along), across);
        let turns = [
            (start, across, along),
            (middle, along, across),
            (plus(middle, along), along, across),
            (last, minus(across), minus(along)),
        ];
        let place = |(quarter, (start, along, across))| {
            let step = quarter << self.bits_behind(prefix_len);
            Node::new(node.first | step, prefix_len, start, along, across)
        };
        (0_u128..).zip(turns).map(place).collect()
    }

    /// Returns where a network lies: the square, or two squares, that hold it. `None` if it is not
    /// within the window.
    pub(crate) fn place(&self, net: IpNet) -> Option<Rect> {
        if !self.window.contains(&net) {
            return None;
        }
        let wanted = first_of(net);
        let holds = |node: &Node| {
            let mask = u128::MAX.checked_shl(self.bits_behind(node.prefix_len)).unwrap_or(0);
            node.prefix_len <= net.prefix_len() && node.first == wanted & mask
        };
        let Some(mut node) = self.roots().into_iter().find(holds) else {
            return Some(Rect { x: 0, y: 0, width: self.columns, height: self.rows });
        };
        loop {
            let quarters = self.quarters(&node);
            if node.prefix_len == net.prefix_len() || quarters.is_empty() {
                return Some(node.rect);
            }
            match quarters.iter().find(|node| holds(node)) {
                Some(next) => node = *next,
                None => {
                    // Two quarters beside each other.
                    let inside = |node: &&Node| {
                        let first = net_of(self.window, node.first, node.prefix_len);
                        net.contains(&first)
                    };
                    let rects = quarters.iter().filter(inside).map(|node| node.rect);
                    return rects.reduce(Rect::around);
                }
            }
        }
    }

    /// Returns how many bits stand behind a prefix of this length.
    fn bits_behind(&self, prefix_len: u8) -> u32 {
        u32::from(self.window.max_prefix_len() - prefix_len)
    }
}

impl Node {
    fn new(
        first: u128,
        prefix_len: u8,
        start: (i64, i64),
        along: (i64, i64),
        across: (i64, i64),
    ) -> Node {
        let opposite = (start.0 + along.0 + across.0, start.1 + along.1 + across.1);
        let rect = Rect {
            x: start.0.min(opposite.0) as u32,
            y: start.1.min(opposite.1) as u32,
            width: (start.0 - opposite.0).unsigned_abs() as u32,
            height: (start.1 - opposite.1).unsigned_abs() as u32,
        };
        Node { first, prefix_len, rect, start, along, across }
    }

    /// Returns the bits of the last address.
    pub(crate) fn last(&self, window: IpNet) -> u128 {
        let behind = u32::from(window.max_prefix_len() - self.prefix_len);
        self.first | 1_u128.checked_shl(behind).map_or(u128::MAX, |next| next - 1)
    }
}

impl Rect {
    /// Returns the least rectangle that holds both.
    fn around(self, other: Rect) -> Rect {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Rect { x, y, width: right - x, height: bottom - y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn at(curve: &Curve, text: &str) -> (u32, u32, u32, u32) {
        let Rect { x, y, width, height } = curve.place(net(text)).unwrap();
        (x, y, width, height)
    }

    #[test]
    fn blocks_lie_where_the_well_known_map_has_them() {
        let curve = Curve::new(net("0.0.0.0/0"), 4);
        assert_eq!((curve.size(), curve.cell_len()), ((16, 16), 8));
        let first_row = [0, 1, 14, 15, 16, 19, 20, 21, 234, 235, 236, 239, 240, 241, 254, 255];
        let second_row = [3, 2, 13, 12, 17, 18, 23, 22, 233, 232, 237, 238, 243, 242, 253, 252];
        for (y, row) in [first_row, second_row].into_iter().enumerate() {
            for (x, block) in row.into_iter().enumerate() {
                let found = at(&curve, &format!("{block}.0.0.0/8"));
                assert_eq!(found, (x as u32, y as u32, 1, 1), "{block}");
            }
        }
        assert_eq!(at(&curve, "0.0.0.0/0"), (0, 0, 16, 16));
        assert_eq!(at(&curve, "64.0.0.0/2"), (0, 8, 8, 8));
        assert_eq!(at(&curve, "0.0.0.0/1"), (0, 0, 8, 16));
        // Smaller than a cell.
        assert_eq!(at(&curve, "1.2.3.4/32"), (1, 0, 1, 1));
    }

    #[test]
    fn cells_follow_each_other_without_a_gap() {
        for (window, order, size) in [
            ("10.0.0.0/8", 3, (8, 8)),
            ("10.0.0.0/9", 3, (16, 8)),
            ("192.0.2.0/24", 8, (16, 16)),
            ("192.0.2.0/25", 8, (16, 8)),
            ("192.0.2.7/32", 8, (1, 1)),
            ("192.0.2.6/31", 8, (2, 1)),
            ("2001:db8::/32", 5, (32, 32)),
            ("2000::/3", 4, (32, 16)),
            ("::/0", 4, (16, 16)),
        ] {
            let curve = Curve::new(net(window), order);
            assert_eq!(curve.size(), size, "{window}");
            let mut cells = curve.roots();
            while cells.first().is_some_and(|node| !curve.quarters(node).is_empty()) {
                cells = cells.iter().flat_map(|node| curve.quarters(node)).collect();
            }
            assert_eq!(cells.len() as u32, size.0 * size.1);
            let mut next = Some(first_of(net(window)));
            let mut before: Option<Rect> = None;
            for cell in cells {
                assert_eq!(Some(cell.first), next, "{window}");
                next = cell.last(net(window)).checked_add(1);
                assert_eq!((cell.rect.width, cell.rect.height), (1, 1));
                let way = |b: Rect| b.x.abs_diff(cell.rect.x) + b.y.abs_diff(cell.rect.y);
                assert_eq!(before.map_or(1, way), 1, "{window}");
                before = Some(cell.rect);
                let cell_net = net_of(net(window), cell.first, cell.prefix_len);
                assert_eq!(curve.place(cell_net), Some(cell.rect));
            }
            assert_eq!(before.map(|rect| (rect.x, rect.y)), Some((size.0 - 1, 0)));
        }
    }

    #[test]
    fn networks_outside_have_no_place() {
        let curve = Curve::new(net("10.0.0.0/8"), 4);
        for outside in ["11.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "10.0.0.0/7"] {
            assert_eq!(curve.place(net(outside)), None, "{outside}");
        }
    }
}
