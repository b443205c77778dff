"""`specsched bench quantization`: what INT8 costs in accuracy, and how far speculation keeps its tokens."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.contest import ThreadsOption, load_contender, prepare
from specsched.cli.bench.running import FileOption, PromptsOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specsched.bench.quantization import Comparison
    from specsched.cli.bench.contest import Places
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report, Table
    from specsched.modelkit.tokens import Documents
    from specsched.pool.manifest import ModelSpec, Pool

PERPLEXITY_BAR = 1.02
DIVERGENCE_BAR = 0.005
"""Share of rows in which a difference of 1e-7 flips an INT8 code (ENGINE.md)."""


@one_line_errors
def quantization(
    pool: PoolOption = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Folder of <class>/valid.jsonl[.zst]; without it the project's own prompts are read."),
    ] = None,
    tokens: Annotated[int, typer.Option(min=64, help="Tokens a class that perplexity is measured on.")] = 16_384,
    prompts: PromptsOption = 64,
    max_tokens: TokensOption = 64,
    threads: ThreadsOption = 1,
    json_file: FileOption = None,
) -> None:
    """Hold the INT8 target against fp32 (perplexity), and its speculative tokens against its own plain ones."""
    places = prepare(threads)
    measure = partial(measure_quantization, members(pool), corpus, tokens, prompts, max_tokens, places)
    report = run("quantization", measure, json_file, "specsched bench quantization")
    print_checks(report.checks)


def measure_quantization(
    pool: "Pool", corpus: Path | None, tokens: int, prompts: int, max_tokens: int, places: "Places", say: "Progress"
) -> "Report":
    """Measure both, and report."""
    from dataclasses import replace

    from specsched.bench.prompt_set import load_prompts
    from specsched.bench.quantization import compare_modes
    from specsched.bench.reference import draw_questions, load_reference, tokenizer_of
    from specsched.modelkit.report import Check, Report

    fp32 = replace(pool.target, dtype="float32", quantization="none")
    int8 = replace(fp32, quantization="int8")
    say("perplexity")
    losses = _losses(pool, (fp32, int8), corpus, tokens)
    ours = load_contender(pool, "int8", places, say).contender
    reference = load_reference(int8)
    asked = draw_questions(tokenizer_of(pool), load_prompts(), prompts, reference.max_context_tokens - max_tokens)
    compared = compare_modes(ours, asked, max_tokens, reference.top_gap, say)
    rate = sum(len(each.divergences) for each in compared) / max(1, sum(each.tokens for each in compared))
    tables = {"perplexity": _perplexities(losses, corpus), "divergence": _rates(compared)}
    if any(each.divergences for each in compared):
        tables["divergences"] = _gaps(compared)
    checks = [
        Check("int8_perplexity_over_fp32", _over(losses), PERPLEXITY_BAR, at_most=True),
        Check("int8_divergences_per_token", rate, DIVERGENCE_BAR, at_most=True),
    ]
    return Report(tables, checks)


def _losses(
    pool: "Pool", specs: "Sequence[ModelSpec]", corpus: Path | None, tokens: int
) -> "list[Mapping[str, float]]":
    """Class → nats a token, for each precision."""
    from tempfile import TemporaryDirectory

    from specsched.engine.network import load_network
    from specsched.modelkit.held_out import network_losses

    with TemporaryDirectory() as folder:
        documents = _documents(pool, corpus, Path(folder))
        return [network_losses(load_network(spec), documents, tokens=tokens) for spec in specs]


def _documents(pool: "Pool", corpus: Path | None, folder: Path) -> "Mapping[str, Documents]":
    from tokenizers import Tokenizer

    from specsched.bench.prompt_set import load_prompts
    from specsched.modelkit.corpus import Record
    from specsched.modelkit.tokens import encode_documents, load_documents

    assert pool.target.path is not None, "targets have a path"
    tokenizer = pool.target.path / "tokenizer.json"
    if corpus is not None:
        return load_documents(corpus, "valid", tokenizer, folder)
    prompts = load_prompts()
    classes = dict.fromkeys(prompt.prompt_class for prompt in prompts)
    loaded = Tokenizer.from_file(str(tokenizer))
    return {
        name: encode_documents(
            (Record(name, text=p.prompt).render() for p in prompts if p.prompt_class == name), loaded
        )
        for name in classes
    }


def _over(losses: "Sequence[Mapping[str, float]]") -> float:
    """Perplexity of INT8 ÷ that of fp32, geometric mean over classes."""
    from math import exp
    from statistics import fmean

    fp32, int8 = losses
    return exp(fmean(int8[name] - fp32[name] for name in fp32))


def _perplexities(losses: "Sequence[Mapping[str, float]]", corpus: Path | None) -> "Table":
    from math import exp

    from specsched.modelkit.report import Table

    fp32, int8 = losses
    rows = [(name, exp(fp32[name]), exp(int8[name]), exp(int8[name] - fp32[name])) for name in fp32]
    text = "the corpus's valid split" if corpus else "the project's own prompts"
    return Table(f"Perplexity on {text}", ("class", "fp32", "int8", "int8_over_fp32"), rows)


def _rates(compared: "Sequence[Comparison]") -> "Table":
    from specsched.modelkit.report import Table

    rows = [(str(c.mode), c.completions, c.tokens, len(c.divergences), c.rate) for c in compared]
    columns = ("mode", "completions", "tokens", "divergences", "per_token")
    return Table("INT8: speculative against its own plain greedy tokens, up to the first difference", columns, rows)


def _gaps(compared: "Sequence[Comparison]") -> "Table":
    from specsched.modelkit.report import Table

    rows = [
        (d.question_id, str(d.mode), d.position, d.plain, d.speculative, f"{d.gap:.1e}")
        for each in compared
        for d in each.divergences
    ]
    columns = ("prompt", "mode", "position", "plain", "speculative", "top_2_gap")
    return Table("INT8: each divergence, with the distance of the two best logits there", columns, rows)
