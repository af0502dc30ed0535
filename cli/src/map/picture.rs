//! [`Picture`]: a map with everything that is written on it, before it is drawn as SVG or PNG.

use super::cells::Cells;
use super::coverage::{Coverage, net_of};
use super::hilbert::{Curve, Rect};
use super::names::{self, Name};
use super::question::Question;
use super::traffic::{Spot, Traffic};
use flowsieve::{Action, FilterSettings, IpProtocol};
use ipnet::IpNet;

/// A map.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) title: String,
    /// What is asked, and how the map is to be read.
    pub(crate) subtitle: String,
    /// What the map shows, in a sentence.
    pub(crate) description: String,
    pub(crate) cells: Cells,
    /// Width and height of a cell, in units of the picture.
    pub(crate) scale: f64,
    /// The addresses that get each action, and those where that depends on the port.
    pub(crate) shares: ([f64; 3], f64),
    /// Networks of one size, for orientation.
    pub(crate) grid: Vec<Grid>,
    /// Networks of rules.
    pub(crate) names: Vec<Name>,
    pub(crate) spots: Vec<Spot>,
}

/// A network of the grid.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Empty where there is no short one.
    pub(crate) name: String,
    /// In units of the picture.
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
}

/// Width of the map, in units of the picture: pixels, as long as nobody scales it.
pub(crate) const WIDTH: f64 = 1024.0;

impl Picture {
    /// Makes the map of what settings, read from the file `name`, do with the flows of a question.
    pub(crate) fn new(
        name: &str,
        settings: &FilterSettings,
        coverage: &Coverage,
        question: &Question,
        order: u8,
        traffic: Option<&Traffic>,
    ) -> Picture {
        let curve = Curve::new(coverage.window(), order);
        let cells = Cells::new(coverage, &curve);
        let scale = WIDTH / f64::from(curve.size().0);
        let spots = traffic.map(|traffic| traffic.spots(WIDTH)).unwrap_or_default();
        let shares = coverage.shares(coverage.window());
        let asked = asked(question);
        let (window, cell) = (coverage.window(), curve.cell_len());
        let cell = match cell == window.max_prefix_len() {
            true => "an address".to_owned(),
            false => format!("a /{cell}"),
        };
        let subtitle = format!(
            "{window}; each cell is {cell}, along a Hilbert curve from the top left to the top right"
        );
        let description = describe(&asked, window, shares, &spots);
        Picture {
            title: format!("{name}: {asked}"),
            subtitle,
            description,
            cells,
            scale,
            shares,
            grid: grid(&curve, scale),
            names: names::choose(settings, coverage, &curve, scale),
            spots,
        }
    }

    /// Returns the height of the map, in units of the picture.
    pub(crate) fn height(&self) -> f64 {
        f64::from(self.cells.size().1) * self.scale
    }

    /// Returns a line of the legend for each action: the action, and of how many addresses.
    pub(crate) fn legend(&self) -> Vec<(Action, String)> {
        let line =
            |(action, share): (Action, f64)| (action, format!("{action}: {}", percent(share)));
        Action::ALL.into_iter().zip(self.shares.0).map(line).collect()
    }

    /// Returns what the legend says of mixed cells; `None` if there is none.
    pub(crate) fn mixed_legend(&self) -> Option<String> {
        let by_port = self.shares.1;
        let (columns, rows) = self.cells.size();
        let cells = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        let mixed = cells.filter(|(x, y)| self.cells.at(*x, *y).action().is_none()).count();
        if mixed == 0 {
            return None;
        }
        Some(match by_port > 0.0 {
            true => format!("several actions in a cell; by port: {}", percent(by_port)),
            false => "several actions in a cell".to_owned(),
        })
    }
}

/// Returns a share in percent: one that is neither nothing nor all is never printed as such.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        100.0 => "100 %".to_owned(),
        percent if percent < 0.01 => "under 0.01 %".to_owned(),
        percent if percent > 99.99 => "over 99.99 %".to_owned(),
        percent => format!("{percent:.2} %"),
    }
}

/// `TCP outbound, any port`.
fn asked(question: &Question) -> String {
    let probe = question.probe();
    let mut asked = format!("{} {}", probe.protocol(), probe.direction());
    if matches!(probe.protocol(), IpProtocol::TCP | IpProtocol::UDP) {
        match question.ports() {
            (0, _) => asked += ", port not known",
            (first, last) if first == last => asked += &format!(", port {first}"),
            _ => asked += ", any port",
        }
    }
    if let Some(local) = probe.local() {
        asked += &format!(", local {local}");
    }
    if let Some(name) = probe.remote_hostname() {
        asked += &format!(", host name {name}");
    }
    asked
}

fn describe(
    asked: &str,
    window: IpNet,
    (pure, by_port): ([f64; 3], f64),
    spots: &[Spot],
) -> String {
    let parts = Action::ALL.into_iter().zip(pure);
    let mut parts: Vec<String> =
        parts.map(|(action, share)| format!("{action} for {}", percent(share))).collect();
    if by_port > 0.0 {
        parts.push(format!("by port for {}", percent(by_port)));
    }
    let mut text = format!(
        "What flows ({asked}) to the addresses of {window} get: {} of the addresses.",
        parts.join(", ")
    );
    let flows: u64 = spots.iter().map(|spot| spot.flows).sum();
    if flows > 0 {
        let marks = match spots.len() {
            1 => "1 mark stands".to_owned(),
            count => format!("{count} marks stand"),
        };
        let flows = if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") };
        text += &format!(" {marks} for {flows}.");
    }
    text
}

/// The networks of one size, the largest that are many and have a short name.
fn grid(curve: &Curve, scale: f64) -> Vec<Grid> {
    let window = curve.window();
    let aligned = if matches!(window, IpNet::V4(_)) { 8 } else { 4 };
    let steps = |len: &u8| *len <= curve.cell_len();
    let start = window.prefix_len() + (window.max_prefix_len() - window.prefix_len()) % 2;
    let lens: Vec<u8> = [8, 6, 4, 2].into_iter().map(|step| start + step).filter(steps).collect();
    let named = lens.iter().copied().find(|len| len % aligned == 0);
    let Some(len) = named.or_else(|| lens.first().copied()) else { return Vec::new() };
    let mut nodes = curve.roots();
    while nodes.first().is_some_and(|node| node.prefix_len < len) {
        nodes = nodes.iter().flat_map(|node| curve.quarters(node)).collect();
    }
    let place = |node: &super::hilbert::Node| {
        let Rect { x, y, width, .. } = node.rect;
        let name = short_name(net_of(window, node.first, len)).filter(|_| named.is_some());
        Grid {
            name: name.unwrap_or_default(),
            x: f64::from(x) * scale,
            y: f64::from(y) * scale,
            width: f64::from(width) * scale,
        }
    };
    nodes.iter().map(place).collect()
}

/// The last part of a network's address: `10`, `.37`, `:12xx`.
fn short_name(net: IpNet) -> Option<String> {
    let len = usize::from(net.prefix_len());
    match net {
        IpNet::V4(net) => {
            let place = len.checked_sub(1)? / 8;
            let octet = net.network().octets().get(place).copied()?;
            Some(if place == 0 { octet.to_string() } else { format!(".{octet}") })
        }
        IpNet::V6(net) => {
            let place = len.checked_sub(1)? / 16;
            let segment = format!("{:04x}", net.network().segments().get(place)?);
            let digits = (len - 16 * place) / 4;
            let known = segment.get(..digits)?;
            let colon = if place == 0 { "" } else { ":" };
            Some(format!("{colon}{known}{}", "x".repeat(4 - digits)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_never_rounded_to_nothing_or_all() {
        let found = [0.0, 1e-12, 0.0001, 0.5, 0.99994, 1.0].map(percent);
        let expected = ["0 %", "under 0.01 %", "0.01 %", "50.00 %", "over 99.99 %", "100 %"];
        assert_eq!(found, expected);
    }

    #[test]
    fn grid_has_the_largest_networks_of_a_short_name() {
        let names = |window: &str| {
            let grid = grid(&Curve::new(window.parse().unwrap(), 8), 1.0);
            (grid.len(), grid.get(1).map(|grid| grid.name.clone()).unwrap_or_default())
        };
        assert_eq!(names("0.0.0.0/0"), (256, "1".to_owned()));
        assert_eq!(names("10.0.0.0/8"), (256, ".1".to_owned()));
        assert_eq!(names("10.0.0.0/12"), (16, ".1".to_owned()));
        assert_eq!(names("192.0.2.0/24"), (256, ".1".to_owned()));
        assert_eq!(names("192.0.2.0/25"), (128, ".1".to_owned()));
        assert_eq!(names("192.0.2.0/32"), (0, String::new()));
        assert_eq!(names("2001:db8::/32"), (256, ":01xx".to_owned()));
        assert_eq!(names("2000::/3"), (512, "201x".to_owned()));
    }
}
