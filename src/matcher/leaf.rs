//! [`Leaf`]: a rule without local side in 16 bytes, and the lists of them.

use crate::decision::{action_of, number_of};
use crate::endpoint::Ports;
use crate::flow::{Direction, Flow, FlowCase, FlowTraits};
use crate::matcher::lanes::Packed;
use crate::matcher::rows::Place;
use crate::rule::{Action, Protocol};

/// The rank of a rule and its action in one number that compares as the rank does.
///
/// The rank is the place in the order of precedence, 0 first. The two low bits are NEFilterAction's number of the action,
/// less one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(super) struct Ranked(u32);

impl Ranked {
    /// After every rule.
    pub(super) const NONE: Ranked = Ranked(u32::MAX);

    /// The number of rules that can be ranked.
    /// Two bits fewer than there is room for: a list merges up to 16 rules for each network, and
    /// the places in lists are 32 bits.
    pub(super) const MAX_RULES: usize = (1 << 28) - 1;

    #[inline(always)]
    pub(super) fn new(rank: u32, action: Action) -> Ranked {
        Ranked(rank << 2 | number_of(action))
    }

    #[inline(always)]
    pub(super) fn rank(self) -> u32 {
        self.0 >> 2
    }

    #[inline(always)]
    pub(super) fn action(self) -> Action {
        action_of(self.0)
    }

    /// Returns the number of the action.
    #[inline(always)]
    pub(super) fn action_number(self) -> u32 {
        self.0 & 3
    }
}

impl Ranked {
    /// The low bits of what stands for a link: those of remediate, which no rule has.
    const LINK: u32 = 2;

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Returns what has these [`bits`](Ranked::bits).
    #[inline(always)]
    pub(super) fn of_bits(bits: u32) -> Ranked {
        Ranked(bits)
    }

    /// Returns this with the index that `order` has for its rank in place of the rank; none stays none.
    #[inline(always)]
    pub(super) fn numbered_by(self, order: &[u32]) -> Ranked {
        let action = self.0 & 3;
        order.get(self.rank() as usize).map_or(self, |index| Ranked(index << 2 | action))
    }

    /// Returns what stands for a link instead of a rule.
    pub(super) fn of_link(index: u32) -> Ranked {
        Ranked(index << 2 | Ranked::LINK)
    }

    /// Whether this stands for a link.
    #[inline(always)]
    pub(super) fn is_link(self) -> bool {
        self.0 & 3 == Ranked::LINK
    }

    /// Returns the link that this stands for.
    #[inline(always)]
    pub(super) fn link(self) -> Option<u32> {
        self.is_link().then_some(self.0 >> 2)
    }
}

// SAFETY: one word.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<1> for Ranked {
    #[inline(always)]
    fn words(self) -> [u32; 1] {
        [self.0]
    }
}

/// The protocol and the direction of a flow as rules tell them apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case(FlowCase);

/// The number of cases.
pub(super) const CASES: usize = 9;

/// The number of cases of TCP and UDP, which come first.
pub(super) const COMMON_CASES: usize = 6;

impl Case {
    #[inline(always)]
    pub(super) fn of(flow: &Flow<'_>) -> Case {
        Case(flow.case())
    }

    #[inline(always)]
    pub(super) fn index(self) -> usize {
        self.0.index.into()
    }

    /// 0 for TCP, 1 for UDP, 2 for others.
    #[inline(always)]
    pub(super) fn protocol(self) -> usize {
        (self.0.index / 3).into()
    }

    /// Whether the protocol is neither TCP nor UDP.
    #[inline(always)]
    pub(super) fn is_uncommon(self) -> bool {
        self.index() >= COMMON_CASES
    }
}

/// The cases of a rule, a bit each.
pub(super) fn cases(protocol: Protocol, direction: Direction) -> u16 {
    let directions = match direction {
        Direction::Any => 0b111,
        direction => 1 << direction as u16,
    };
    match protocol {
        Protocol::Any => directions | directions << 3,
        Protocol::Tcp => directions,
        Protocol::Udp => directions << 3,
        Protocol::Number(_) => directions << 6,
    }
}

/// A rule, less its remote address, and where the next one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Leaf {
    pub(super) ranked: Ranked,
    /// The index of the next leaf in the list, or with [`CHAIN`](Leaf::CHAIN) that of a chain; 0
    /// for none.
    pub(super) next: u32,
    pub(super) first_port: u16,
    pub(super) last_port: u16,
    pub(super) cases: u16,
    /// The number of another protocol, 0 for TCP, UDP and any.
    pub(super) number: u8,
    pub(super) flags: u8,
}

// SAFETY: the fields stand in this order, without gaps, the first of two in the low half.
#[allow(unsafe_code, reason = "read by vector instructions")]
unsafe impl Packed<4> for Leaf {
    #[inline(always)]
    fn words(self) -> [u32; 4] {
        let ports = u32::from(self.last_port) << 16 | u32::from(self.first_port);
        let kind = u32::from(self.flags) << 8 | u32::from(self.number);
        [self.ranked.0, self.next, ports, kind << 16 | u32::from(self.cases)]
    }
}

impl Leaf {
    /// Returns the leaf of these [`words`](Packed::words).
    #[inline(always)]
    pub(super) fn of_words([ranked, next, ports, kind]: [u32; 4]) -> Leaf {
        Leaf {
            ranked: Ranked(ranked),
            next,
            first_port: ports as u16,
            last_port: (ports >> 16) as u16,
            cases: kind as u16,
            number: (kind >> 16) as u8,
            flags: (kind >> 24) as u8,
        }
    }

    /// Rules with a local side or a zone id may apply where this leaf does; the next one is no rule but
    /// [their place](Leaf::of_place).
    pub(super) const CONDITIONAL: u8 = 1;
    /// The rules are too many for one list: `next` is the index of a chain that holds them all.
    pub(super) const CHAIN: u8 = 2;
    /// No rule, but the place of a further step of the look-up.
    pub(super) const NODE: u8 = 4;

    /// No rule.
    pub(super) const NONE: Leaf = Leaf {
        ranked: Ranked::NONE,
        next: 0,
        first_port: 0,
        last_port: 0,
        cases: 0,
        number: 0,
        flags: 0,
    };

    pub(super) fn new(
        ranked: Ranked,
        ports: Ports,
        protocol: Protocol,
        direction: Direction,
    ) -> Leaf {
        let number = match protocol {
            Protocol::Number(number) => number,
            Protocol::Any | Protocol::Tcp | Protocol::Udp => 0,
        };
        Leaf {
            ranked,
            next: 0,
            first_port: ports.first(),
            last_port: ports.last(),
            cases: cases(protocol, direction),
            number,
            flags: 0,
        }
    }

    /// Returns the leaf of a rule that matches every port and TCP and UDP in every direction, or of
    /// none.
    #[inline(always)]
    pub(super) fn of_all(ranked: Ranked) -> Leaf {
        Leaf { ranked, last_port: u16::MAX, cases: (1 << COMMON_CASES) - 1, ..Leaf::NONE }
    }

    /// Whether [`of_all`](Leaf::of_all) makes the same leaf.
    pub(super) fn is_all(&self) -> bool {
        *self == Leaf::of_all(self.ranked)
    }

    /// Returns what stands behind a first leaf that is [conditional](Leaf::CONDITIONAL), with all that it had behind
    /// it: no flow matches it, and it has the place of other rules.
    pub(super) fn of_place(first: &Leaf, place: Place) -> Leaf {
        let [first_port, last_port] = place.halves();
        Leaf { first_port, last_port, cases: 0, flags: first.flags & Leaf::CHAIN, ..*first }
    }

    /// Returns the place that this stands for.
    #[inline(always)]
    pub(super) fn place(&self) -> Place {
        Place::of_halves([self.first_port, self.last_port])
    }

    /// Returns a copy that is made field by field.
    // PERF: the compiler copies the whole to the stack by one instruction, and what reads a field of it there
    // waits for both; decide-dependent/ipv4-10k. And it keeps there what is handed on as a whole, unless that is
    // a copy.
    #[inline(always)]
    pub(super) fn by_fields(&self) -> Leaf {
        Leaf::of_words(self.words())
    }

    /// Whether rules with a local side or a zone id may apply where the leaf does.
    #[inline(always)]
    pub(super) fn is_conditional(&self) -> bool {
        self.flags & Leaf::CONDITIONAL != 0
    }

    /// Whether the rules are in a chain.
    #[inline(always)]
    pub(super) fn is_chain(self) -> bool {
        self.flags & Leaf::CHAIN != 0
    }

    /// Whether the rule matches a flow into the leaf's network.
    #[inline(always)]
    pub(super) fn matches(&self, case: Case, port: u16) -> bool {
        let in_case = self.cases >> case.0.index & 1 != 0;
        let in_ports =
            port.wrapping_sub(self.first_port) <= self.last_port.wrapping_sub(self.first_port);
        in_case & in_ports & (self.number == case.0.number)
    }

    /// Returns bits of [`FlowTraits`]: the traits that the rule does not match, and the number of another
    /// protocol.
    pub(super) fn traits(&self, may_be_loopback: bool) -> u16 {
        let of_cases = (0..CASES).filter(|case| self.cases >> case & 1 != 0);
        let mut matched = of_cases.fold(0, |matched, case| matched | FlowTraits::of_case(case));
        if may_be_loopback {
            matched |= FlowTraits::LOOPBACK;
        }
        FlowTraits::ALL & !matched | u16::from(self.number) << FlowTraits::NUMBER
    }

    /// Whether the rule matches every port.
    pub(super) fn is_any_port(&self) -> bool {
        (self.first_port, self.last_port) == (0, u16::MAX)
    }

    pub(super) fn is_number(&self) -> bool {
        self.cases >> COMMON_CASES != 0
    }

    pub(super) fn ports(&self) -> (u16, u16) {
        (self.first_port, self.last_port)
    }
}
