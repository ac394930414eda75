"""Random numbers follow from the run's seed and names, and from nothing else."""

import torch

from wsgcn.runtime.seeds import generator_for, seed_for, seeded

IDS = "abcd"


def test_seed_depends_on_names_only():
    forward = {one: seed_for(42, one) for one in IDS}
    backward = {one: seed_for(42, one) for one in reversed(IDS)}
    assert forward == backward
    assert len({*forward.values(), seed_for(43, "a"), seed_for(42), seed_for(42, "a", "b")}) == 7
    assert all(0 <= seed < 2**63 for seed in forward.values())


def test_seed_does_not_mix_up_names():
    assert seed_for(1, "ab", "c") != seed_for(1, "a", "bc")
    assert seed_for(1, "2") != seed_for(12)


def test_seed_stays_what_it_was():
    assert seed_for(42, "2007_000032") == 2454462232224518255


def test_generator_is_independent_of_the_global_one():
    torch.manual_seed(0)
    one = torch.rand(3, generator=generator_for(42, "a"))
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3, generator=generator_for(42, "a")), one)
    assert not torch.equal(torch.rand(3, generator=generator_for(42, "b")), one)


def test_global_generators_are_seeded_inside_and_put_back():
    torch.manual_seed(0)
    with seeded(42, "dropout"):
        inside = torch.rand(3)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), after)
    with seeded(42, "dropout"):
        assert torch.equal(torch.rand(3), inside)
    assert torch.equal(torch.rand(3, generator=generator_for(42, "dropout")), inside)
