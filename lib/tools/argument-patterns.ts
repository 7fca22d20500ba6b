import { RE2JS } from 're2js'
import type { Meter } from './argument-meter.ts'
import { UnusableSchemaError } from './argument-schema.ts'

/** Longest pattern (characters). */
const maxPatternLength = 5_000
/** Most instructions that one pattern may compile to, and all of a schema together, as estimated. */
const maxPatternSize = 20_000
const maxTotalSize = 100_000

/** A group, a quantifier, an escape, a class, or a single character. */
const tokens = /\\p\{[^}]*\}|\\[^]|\[(?:\\[^]|[^\]\\])*\]|\{\d+(?:,\d*)?\}|[^]/gi
/** White space in JavaScript that RE2 does not take for such. */
const otherSpaces = '\\x{b}\\x{a0}\\x{feff}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}'

/** What Ajv takes in place of `RegExp`. */
export interface PatternCompiler {
  (pattern: string, flags: string): { test: (text: string) => boolean, toString: () => string }
  code: string
}

/**
 * Compiles the patterns of one schema to matchers whose time is linear in the text, and is taken from the meter. The
 * compiler throws for patterns that have no such matcher (with lookaheads or backreferences), and for those that would
 * be large.
 */
export function createPatternCompiler (meter: Meter): PatternCompiler {
  const compiled = new Map<string, ReturnType<PatternCompiler>>()
  let totalSize = 0

  function compile (pattern: string): ReturnType<PatternCompiler> {
    if (pattern.length > maxPatternLength) throw new UnusableSchemaError('a pattern is too long')
    const translated = withAllSpaces(RE2JS.translateRegExp(pattern))
    const estimate = estimateSize(translated)
    totalSize += estimate
    if (estimate > maxPatternSize || totalSize > maxTotalSize) {
      throw new UnusableSchemaError('its patterns are too large')
    }
    const matcher = RE2JS.compile(translated)
    const size = matcher.programSize()
    return {
      test (text: string) {
        meter.spend(1 + Math.floor(text.length / 64) + Math.floor(text.length * size / 256))
        return matcher.test(text)
      },
      toString: () => pattern // Ajv takes two patterns for one when their texts are equal
    }
  }

  const remembering = (pattern: string) => {
    const matcher = compiled.get(pattern) ?? compile(pattern)
    compiled.set(pattern, matcher)
    return matcher
  }
  return Object.assign(remembering, { code: 'compilePattern' })
}

function withAllSpaces (pattern: string): string {
  return pattern.replace(tokens, token => {
    if (token === '\\s') return `[${otherSpaces}\\s]`
    if (token === '\\S') return `[^${otherSpaces}\\s]`
    if (!token.startsWith('[')) return token
    return token.replace(/\\[^]/g, escape => escape === '\\s' ? `${otherSpaces}\\s` : escape)
  })
}

/**
 * About how many instructions a pattern compiles to: repetitions multiply what they repeat. It is known before the
 * pattern is compiled, which may take long.
 */
function estimateSize (pattern: string): number {
  const outer: number[] = []
  let [size, last] = [0, 0]
  for (const token of pattern.match(tokens) ?? []) {
    if (token === '(') {
      outer.push(size)
      ;[size, last] = [0, 0]
    } else if (token === ')') {
      last = size + 2
      size = (outer.pop() ?? 0) + last
    } else if (/^\{\d/.test(token)) {
      const times = Math.max(...token.slice(1, -1).split(',').map(Number), 1)
      size += last * times
      last += last * times
    } else {
      last = 1 + (/\\p/i.test(token) ? 300 : Math.floor(token.length / 8))
      size += last
    }
  }
  return outer.reduce((total, part) => total + part, size)
}
