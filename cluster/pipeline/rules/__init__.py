"""Extraction without an LLM: rules for Chinese and English, precision before recall."""

from cluster.pipeline.rules.extractor import RuleExtractor

__all__ = ["RuleExtractor"]
