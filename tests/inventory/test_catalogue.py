"""What a site's name for a GPU stands for, and that the catalogue says what the data sheets say."""

from __future__ import annotations

import pytest

from advisor.inventory.catalogue import Catalogue, load_catalogue
from advisor.inventory.model import GpuModel
from advisor.units import GIB


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue that ships."""
    return load_catalogue()


# CUDA cores, GiB, GB/s, W, then dense TFLOP/s: FP32, TF32, FP16 (tensor cores with FP32 accumulation where there are
# any). NVIDIA's data sheets and architecture white papers (V100, Turing, A100, GA102, Hopper, Ada, HGX B200), halved
# where they are given with sparsity; typed in by hand, so that the generator is checked against a second reading.
DATA_SHEETS = {
    "NVIDIA GeForce GTX 750 Ti": (640, 2, 86.4, 60, 1.39, None, None),
    "NVIDIA GeForce GTX 1080 Ti": (3584, 11, 484, 250, 11.3, None, None),
    "Tesla V100-SXM2-16GB": (5120, 16, 900, 300, 15.7, None, 125),
    "Tesla V100-SXM2-32GB": (5120, 32, 900, 300, 15.7, None, 125),
    "Tesla T4": (2560, 16, 320, 70, 8.1, None, 65),
    "NVIDIA GeForce RTX 2080 Ti": (4352, 11, 616, 250, 13.4, None, 53.8),
    "Quadro RTX 6000": (4608, 24, 672, 260, 16.3, None, 130.5),
    "NVIDIA GeForce RTX 3070": (5888, 8, 448, 220, 20.3, 20.3, 40.6),
    "NVIDIA GeForce RTX 3090": (10496, 24, 936, 350, 35.6, 35.6, 71),
    "NVIDIA A40": (10752, 48, 696, 300, 37.4, 74.8, 149.7),
    "NVIDIA RTX A6000": (10752, 48, 768, 300, 38.7, 77.4, 154.8),
    "NVIDIA A100-SXM4-40GB": (6912, 40, 1555, 400, 19.5, 156, 312),
    "NVIDIA A100-SXM4-80GB": (6912, 80, 2039, 400, 19.5, 156, 312),
    "NVIDIA A100-PCIE-40GB": (6912, 40, 1555, 250, 19.5, 156, 312),
    "NVIDIA A100 80GB PCIe": (6912, 80, 1935, 300, 19.5, 156, 312),
    "NVIDIA L4": (7424, 24, 300, 72, 30.3, 60, 121),
    "NVIDIA L40S": (18176, 48, 864, 350, 91.6, 183, 362),
    "NVIDIA GeForce RTX 4090": (16384, 24, 1008, 450, 82.6, 82.6, 165.2),
    "NVIDIA RTX 6000 Ada Generation": (18176, 48, 960, 300, 91.1, 182.1, 364.2),
    "NVIDIA H100 PCIe": (14592, 80, 2039, 350, 51.2, 378, 756),
    "NVIDIA H100 80GB HBM3": (16896, 80, 3350, 700, 67, 494.7, 989.4),
    "NVIDIA H200": (16896, 141, 4800, 700, 67, 494.5, 989),
    "NVIDIA B200": (18944, 180, 7700, 1000, 75, 1125, 2250),
    "NVIDIA A10G": (9216, 24, 600, 300, 31.5, 35, 70),
    "NVIDIA L20": (11776, 48, 864, 275, 59.8, 59.8, 119.5),
    "NVIDIA H20": (9984, 96, 4000, 500, 44, 74, 148),
    "NVIDIA GB10": (6144, 128, 273, 140, 31, 62.5, 125),
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": (24064, 96, 1597, 600, 120, 240, 480),
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": (24064, 96, 1792, 600, 125, 251.9, 503.8),
    "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition": (24064, 96, 1792, 300, 110, 219.5, 438.9),
    "AMD Radeon PRO W7900": (6144, 48, 864, 295, 61.3, None, 122.6),
    "Intel Data Center GPU Max 1550": (16384, 128, 3277, 600, 52.4, 419, 839),
    "Intel Data Center GPU Max 1100": (7168, 48, 1229, 300, 22.2, 178, 356),
}


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_the_catalogue_says_what_the_data_sheet_says(catalogue: Catalogue, name: str) -> None:
    """Integers exactly, rates to the data sheet's rounding (0.6%)."""
    gpu = catalogue.identify(name)
    cores, memory_gib, bandwidth_gb_s, tdp_w, fp32, tf32, fp16 = DATA_SHEETS[name]

    assert (name, cores, memory_gib * GIB, tdp_w) == (gpu.name, gpu.cuda_cores, gpu.memory_bytes, gpu.tdp_w)
    assert pytest.approx(bandwidth_gb_s * 1e9, rel=0.006) == gpu.memory_bandwidth_bytes_per_s
    assert pytest.approx(fp32 * 1e12, rel=0.006) == gpu.peak_fp32_flops_per_s
    assert gpu.peak_tf32_flops_per_s == (None if tf32 is None else pytest.approx(tf32 * 1e12, rel=0.006))
    if fp16 is not None:
        assert pytest.approx(fp16 * 1e12, rel=0.006) == gpu.peak_fp16_flops_per_s


def test_bfloat16_is_offered_from_ampere_on(catalogue: Catalogue) -> None:
    """Volta and Turing have tensor cores without bfloat16."""
    assert catalogue.identify("v100-sxm2-32gb").peak_bf16_flops_per_s is None
    assert catalogue.identify("tesla_t4").peak_bf16_flops_per_s is None
    assert catalogue.identify("rtx_3070").peak_bf16_flops_per_s is not None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("rtx_3090", "NVIDIA GeForce RTX 3090"),
        ("nvidia_geforce_rtx_3090", "NVIDIA GeForce RTX 3090"),
        ("3090", "NVIDIA GeForce RTX 3090"),
        ("gtx1080ti", "NVIDIA GeForce GTX 1080 Ti"),
        ("2080ti", "NVIDIA GeForce RTX 2080 Ti"),
        ("gtx_750_ti", "NVIDIA GeForce GTX 750 Ti"),
        ("nvidia_a100-sxm4-80gb", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA_H100_80GB_HBM3", "NVIDIA H100 80GB HBM3"),
        ("nvidia_h100_pcie", "NVIDIA H100 PCIe"),
        ("h100_nvl", "NVIDIA H100 NVL"),
        ("h200", "NVIDIA H200"),
        ("b200", "NVIDIA B200"),
        ("l40s", "NVIDIA L40S"),
        ("l40", "NVIDIA L40"),
        ("v100-sxm2-32gb", "Tesla V100-SXM2-32GB"),
        ("Tesla-V100-PCIE-16GB", "Tesla V100-PCIE-16GB"),
        ("v100s", "Tesla V100S-PCIE-32GB"),
        ("tesla_t4", "Tesla T4"),
        ("quadro_rtx_6000", "Quadro RTX 6000"),
        ("NVIDIA Quadro RTX 6000", "Quadro RTX 6000"),
        ("rtx_6000_ada", "NVIDIA RTX 6000 Ada Generation"),
        ("rtx6000ada", "NVIDIA RTX 6000 Ada Generation"),
        ("a6000", "NVIDIA RTX A6000"),
        ("titan_xp", "NVIDIA TITAN Xp"),
        ("TITAN RTX", "NVIDIA TITAN RTX"),
        ("A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"),
        ("NVIDIA GH200 480GB", "NVIDIA GH200 480GB"),
        ("mi250x", "AMD Instinct MI250X"),
        ("amd_instinct_mi300x", "AMD Instinct MI300X"),
        ("a100_64gb", "NVIDIA A100-SXM-64GB"),
        ("nvidia_b300_sxm6_ac", "NVIDIA B300"),
        ("nvidia_b200", "NVIDIA B200"),
        ("nvidia_gb200", "NVIDIA GB200"),
        ("nvidia_gb10", "NVIDIA GB10"),
        ("gb10", "NVIDIA GB10"),
        ("nvidia_a10g", "NVIDIA A10G"),
        ("a10g", "NVIDIA A10G"),
        ("a10", "NVIDIA A10"),
        ("nvidia_l20", "NVIDIA L20"),
        ("nvidia_h20", "NVIDIA H20"),
        ("h100_96gb_hbm3", "NVIDIA H100 96GB HBM3"),
        ("h100-sxm-96", "NVIDIA H100 96GB HBM3"),
        ("nvidia_h100_nvl", "NVIDIA H100 NVL"),
        ("h100_nvl_96gb", "NVIDIA H100 NVL"),
        ("nvidia_h200_nvl", "NVIDIA H200 NVL"),
        ("nvidia_gh200_480gb", "NVIDIA GH200 480GB"),
        ("nvidia_rtx_pro_6000_blackwell_server_edition", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
        ("nvidia_rtx_pro_6000_blackwell_workstation_edition", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
        (
            "nvidia_rtx_pro_6000_blackwell_max-q_workstation_edition",
            "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        ),
        ("nvidia_rtx_pro_5000_blackwell", "NVIDIA RTX PRO 5000 Blackwell"),
        ("w7900", "AMD Radeon PRO W7900"),
        ("amd_radeon_pro_w7900", "AMD Radeon PRO W7900"),
        ("max1550", "Intel Data Center GPU Max 1550"),
        ("intel_data_center_gpu_max_1550", "Intel Data Center GPU Max 1550"),
        ("intel_data_center_gpu_max_1100", "Intel Data Center GPU Max 1100"),
        ("nvidia_a100_80gb_pcie", "NVIDIA A100 80GB PCIe"),
        ("nvidia_a100-pcie-40gb", "NVIDIA A100-PCIE-40GB"),
        ("nvidia_a40", "NVIDIA A40"),
        ("nvidia_l4", "NVIDIA L4"),
        ("nvidia_rtx_a6000", "NVIDIA RTX A6000"),
        ("nvidia_rtx_6000_ada_generation", "NVIDIA RTX 6000 Ada Generation"),
        ("nvidia_rtx_4000_sff_ada_generation", "NVIDIA RTX 4000 SFF Ada Generation"),
        ("nvidia_titan_v", "NVIDIA TITAN V"),
        ("titanv", "NVIDIA TITAN V"),
        ("titanrtx", "NVIDIA TITAN RTX"),
        ("geforce_gtx_1080_ti", "NVIDIA GeForce GTX 1080 Ti"),
        ("GTX1080Ti", "NVIDIA GeForce GTX 1080 Ti"),
        ("rtx2080ti", "NVIDIA GeForce RTX 2080 Ti"),
        ("rtx_a5000", "NVIDIA RTX A5000"),
        ("tesla_v100-sxm2-32gb-ls", "Tesla V100-SXM2-32GB"),
        ("tesla_v100s-pcie-32gb", "Tesla V100S-PCIE-32GB"),
        ("tesla_p100-pcie-16gb", "Tesla P100-PCIE-16GB"),
        ("nvidia_geforce_rtx_5090", "NVIDIA GeForce RTX 5090"),
        ("rtx4090", "NVIDIA GeForce RTX 4090"),
        ("4090", "NVIDIA GeForce RTX 4090"),
        ("mi210", "AMD Instinct MI210"),
        ("mi300a", "AMD Instinct MI300A"),
        ("amd_instinct_mi250x", "AMD Instinct MI250X"),
        ("tesla_k80", "Tesla K80"),
    ],
)
def test_a_sites_name_is_recognised(catalogue: Catalogue, written: str, expected: str) -> None:
    """Case, separators, vendor and class words do not matter; what tells variants apart does."""
    gpu = catalogue.identify(written)

    assert (expected, True, None) == (gpu.name, gpu.known, gpu.note)


@pytest.mark.parametrize(
    ("written", "expected", "other"),
    [
        ("a100", "NVIDIA A100-PCIE-40GB", "NVIDIA A100-SXM4-80GB"),
        ("a100_80gb", "NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"),
        ("a100_80", "NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"),
        ("h100", "NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3"),
        ("v100", "Tesla V100-PCIE-16GB", "Tesla V100-SXM2-32GB"),
        ("rtx6000", "Quadro RTX 6000", "NVIDIA RTX 6000 Ada Generation"),
        ("gh200", "NVIDIA GH200 480GB", "NVIDIA GH200 144G HBM3e"),
        ("h100-96", "NVIDIA H100 NVL", "NVIDIA H100 96GB HBM3"),
        ("rtx_pro_6000", "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "Blackwell Server Edition"),
        ("rtx6000pro", "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "Blackwell Server Edition"),
        ("pvc", "Intel Data Center GPU Max 1100", "Intel Data Center GPU Max 1550"),
    ],
)
def test_an_ambiguous_name_is_the_smaller_gpu_and_says_so(
    catalogue: Catalogue, written: str, expected: str, other: str
) -> None:
    """A bare name is never decided in silence: the note and ``alternatives`` name the others."""
    gpu = catalogue.identify(written)

    assert expected == gpu.name
    assert gpu.note is not None
    assert other in gpu.note
    assert any(other in alternative for alternative in gpu.alternatives)


@pytest.mark.parametrize(
    ("written", "features", "expected"),
    [
        ("a100", ("a100_80gb", "sxm4"), "NVIDIA A100-SXM4-80GB"),
        ("a100", ("ampere", "gpu80gb", "sxm4"), "NVIDIA A100-SXM4-80GB"),
        ("v100", ("v100-sxm2-32gb",), "Tesla V100-SXM2-32GB"),
        ("h100", ("pcie", "80gb"), "NVIDIA H100 PCIe"),
        (None, ("local", "rtx3090"), "NVIDIA GeForce RTX 3090"),
    ],
)
def test_the_nodes_features_decide(
    catalogue: Catalogue, written: str | None, features: tuple[str, ...], expected: str
) -> None:
    """What the site says of the node beside the GRES is evidence."""
    assert expected == catalogue.identify(written, features=features).name


def test_a_feature_of_another_gpu_decides_nothing(catalogue: Catalogue) -> None:
    """``v100-32gb`` says nothing about an A100 in the same node."""
    assert "NVIDIA A100-PCIE-40GB" == catalogue.identify("a100", features=("v100-sxm2-32gb",)).name


@pytest.mark.parametrize("written", ["fpga", "mx9000", "h100-512gb", "gpu", "a1000000"])
def test_an_unknown_gpu_keeps_its_name_and_is_not_guessed(catalogue: Catalogue, written: str) -> None:
    """No values at all are better than another GPU's."""
    assert GpuModel(name=written, known=False) == catalogue.identify(written)


def test_a_gpu_without_a_type_is_unknown(catalogue: Catalogue) -> None:
    """Features that name no GPU do not name one."""
    assert not catalogue.identify(None, features=("ampere", "local", "rack12")).known


@pytest.mark.parametrize(
    ("written", "features", "whole", "profile"),
    [
        ("nvidia_a100-sxm4-80gb_1g.10gb", (), "NVIDIA A100-SXM4-80GB", (1, 10)),
        ("a100_3g.20gb", ("sxm4",), "NVIDIA A100-SXM4-40GB", (3, 20)),
        ("nvidia_h100_80gb_hbm3_mig_2g.20gb", (), "NVIDIA H100 80GB HBM3", (2, 20)),
        ("1g.10gb", ("nvidia_a100-sxm4-80gb",), "NVIDIA A100-SXM4-80GB", (1, 10)),
        ("mig-1g.18gb", ("h200", "sxm5"), "NVIDIA H200", (1, 18)),
        ("h200_1g.18gb", (), "NVIDIA H200", (1, 18)),
        ("nvidia_a100-sxm4-40gb_1g.10gb", (), "NVIDIA A100-SXM4-40GB", (1, 10)),
        ("a100_1g.10gb", ("a100_40gb",), "NVIDIA A100-PCIE-40GB", (1, 10)),
        ("a100_1g.10gb", ("a100_3g.20gb", "sxm4"), "NVIDIA A100-SXM4-40GB", (1, 10)),
        ("a100_1g.10gb", ("sxm4",), "NVIDIA A100-SXM4-80GB", (1, 10)),
        ("a100_3g.39gb", (), "NVIDIA A100 80GB PCIe", (3, 39)),
        ("nvidia_h100_nvl_1g.12gb", (), "NVIDIA H100 NVL", (1, 12)),
        ("nvidia_h100_nvl_1g.24gb", (), "NVIDIA H100 NVL", (1, 24)),
        ("h100-nvl-3g.47gb", (), "NVIDIA H100 NVL", (3, 47)),
        ("nvidia_h100_80gb_hbm3_1g.20gb", (), "NVIDIA H100 80GB HBM3", (1, 20)),
        ("nvidia_h200_1g.35gb", (), "NVIDIA H200", (1, 35)),
        ("nvidia_h200_3g.71gb", (), "NVIDIA H200", (3, 71)),
        ("nvidia_b200_1g.23gb", (), "NVIDIA B200", (1, 23)),
        ("nvidia_b200_1g.45gb", (), "NVIDIA B200", (1, 45)),
        ("nvidia_b300_sxm6_ac_1g.34gb", (), "NVIDIA B300", (1, 34)),
        ("nvidia_b300_sxm6_ac_1g.67gb", (), "NVIDIA B300", (1, 67)),
        ("nvidia_b300_sxm6_ac_3g.135gb", (), "NVIDIA B300", (3, 135)),
        ("nvidia_b300_sxm6_ac_7g.269gb", (), "NVIDIA B300", (7, 269)),
        ("nvidia_gh200_480gb_1g.12gb", (), "NVIDIA GH200 480GB", (1, 12)),
        ("nvidia_gb200_1g.47gb", (), "NVIDIA GB200", (1, 47)),
    ],
)
def test_a_mig_slice_has_its_share_of_the_whole(
    catalogue: Catalogue, written: str, features: tuple[str, ...], whole: str, profile: tuple[int, int]
) -> None:
    """Memory is the name's; cores, rates and TDP follow the compute slices, of which these GPUs have seven."""
    slices, memory_gib = profile
    part, base = catalogue.identify(written, features=features), catalogue.identify(whole)

    assert (whole, memory_gib * GIB) == (part.slice_of, part.memory_bytes)
    assert pytest.approx(slices / 7) == part.slice_share
    assert base.tdp_w is not None
    assert base.peak_fp16_flops_per_s is not None
    assert pytest.approx(base.tdp_w * slices / 7) == part.tdp_w
    assert pytest.approx(base.peak_fp16_flops_per_s * slices / 7) == part.peak_fp16_flops_per_s


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("a30_1g.6gb", 0.25),
        ("a30_4g.24gb", 1.0),
        ("nvidia_rtx_pro_6000_blackwell_server_edition_1g.24gb", 0.25),
        ("nvidia_rtx_pro_6000_blackwell_server_edition_2g.48gb", 0.5),
        ("nvidia_rtx_pro_5000_blackwell_1g.24gb", 0.5),
        ("nvidia_rtx_pro_4500_blackwell_1g.16gb", 0.5),
    ],
)
def test_smaller_gpus_have_four_or_two_slices(catalogue: Catalogue, written: str, share: float) -> None:
    """1g.6gb is a quarter of an A30, 1g.24gb half an RTX PRO 5000."""
    gpu = catalogue.identify(written)

    assert (True, share) == (gpu.known, gpu.slice_share)


def test_idle_power_comes_with_its_source(catalogue: Catalogue) -> None:
    """A board's idle powers are measured ones; a board that nobody read has none, and a slice its share."""
    v100, unread = catalogue.identify("Tesla V100-PCIE-16GB"), catalogue.identify("rtx_4090")
    h100_slice = catalogue.identify("nvidia_h100_80gb_hbm3_1g.10gb")

    assert (26, 34) == (v100.idle_w, v100.context_idle_w)
    assert v100.power_source is not None
    assert (None, None, None, None) == (
        unread.idle_w,
        unread.context_idle_w,
        unread.full_load_share,
        unread.power_source,
    )
    assert pytest.approx(115 / 7) == h100_slice.context_idle_w
    assert 0.83 == h100_slice.full_load_share


def test_power_figures_are_physical(catalogue: Catalogue) -> None:
    """Idle below context below the limit, shares up to one, and a source wherever there is a figure."""
    for entry in catalogue.entries:
        gpu = entry.gpu
        figures = [value for value in (gpu.idle_w, gpu.context_idle_w) if value is not None]

        assert figures == sorted(figures)
        assert all(0 < value < 0.5 * (gpu.tdp_w or 0) for value in figures), gpu.name
        assert gpu.full_load_share is None or 0 < gpu.full_load_share <= 1
        assert (gpu.power_source is not None) == bool(figures or gpu.full_load_share), gpu.name


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("v100s", False),
        ("t4", False),
        ("p100-sxm2", False),
        ("mi50", False),
        ("a30", True),
        ("mi100", True),
        ("x9", None),
    ],
)
def test_bfloat16_runs_fast_where_the_board_has_it(catalogue: Catalogue, written: str, expected: bool | None) -> None:
    """Boards before Ampere and CDNA emulate it; of an unknown board nothing is said."""
    assert expected is catalogue.identify(written).fast_bfloat16


def test_a_bare_mig_profile_of_several_gpus_says_so(catalogue: Catalogue) -> None:
    """1g.10gb is cut from an A100 80 GB as well as from an H100."""
    gpu = catalogue.identify("1g.10gb")

    assert gpu.note is not None
    assert "NVIDIA H100 PCIe" in gpu.note
    assert 10 * GIB == gpu.memory_bytes


def test_every_entry_is_found_by_its_own_name(catalogue: Catalogue) -> None:
    """No two entries share a name, and each driver's name leads to its own entry whatever its spelling."""
    names = [entry.gpu.name for entry in catalogue.entries]

    assert sorted(set(names)) == sorted(names)
    assert names == [catalogue.identify(name.lower()).name for name in names]
