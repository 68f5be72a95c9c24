//! Instruction sets. Every loop is written once, in plain Rust, and compiled for several of them; the best
//! one is chosen at run time.

/// An instruction set that loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// The baseline of the target.
    Plain,
    /// AVX2 and FMA: x86-64 since 2015.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL: x86-64 servers since 2017, Zen 4 and later.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with products of bytes, VNNI: x86-64 servers since 2019, Zen 4 and later.
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

/// A loop with its operands. `run` and all that it calls must be `#[inline(always)]`: else they are compiled
/// for [`Isa::Plain`].
pub(super) trait Loop {
    /// Its result.
    type Out;

    /// Runs it. `FMA`: whether `a * b + c` is one instruction. `NR`: f32 in two vector
    /// registers, the columns of a tile (see [`super::gemm`]).
    fn run<const FMA: bool, const NR: usize>(self) -> Self::Out;
}

impl Isa {
    /// From plain to best.
    const ALL: &[Self] = &[
        Self::Plain,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Vnni,
    ];

    /// The best of this processor.
    pub(super) fn best() -> Self {
        Self::all().last().unwrap_or(Self::Plain)
    }

    /// Those of this processor, from plain to best.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|isa| isa.is_here())
    }

    /// Whether this processor has it.
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => Self::Avx512.is_here() && is_x86_feature_detected!("avx512vnni"),
        }
    }

    /// Name for reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => "avx512-vnni",
        }
    }

    /// The `NR` that [`Isa::run`] compiles a loop for.
    pub(super) fn nr(self) -> usize {
        match self {
            Self::Plain => PLAIN_NR,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Vnni => 32,
        }
    }

    /// Runs `work` as it was compiled for this instruction set, which is one of [`Isa::all`].
    pub(super) fn run<L: Loop>(self, work: L) -> L::Out {
        match self {
            Self::Plain => plain(work),
            // SAFETY: an `Isa` comes from `Isa::all` only, which detects the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { vnni(work) },
        }
    }
}

/// NEON has 32 registers of four f32, of which a micro-tile then fills 24.
const PLAIN_NR: usize = 16;

/// Whether [`Isa::Plain`] multiplies and adds in one instruction.
pub(super) const PLAIN_FMA: bool = cfg!(target_arch = "aarch64");

/// See [`Isa::Plain`].
pub(super) fn plain<L: Loop>(work: L) -> L::Out {
    work.run::<PLAIN_FMA, PLAIN_NR>()
}

/// See [`Isa::Avx2`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) fn avx2<L: Loop>(work: L) -> L::Out {
    work.run::<true, 16>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<L: Loop>(work: L) -> L::Out {
    work.run::<true, 32>()
}

/// See [`Isa::Vnni`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn vnni<L: Loop>(work: L) -> L::Out {
    work.run::<true, 32>()
}

/// `a * b + c`, rounded once where that is one instruction; elsewhere `mul_add` is a slow function.
#[inline(always)]
pub(super) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
