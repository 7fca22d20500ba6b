import { parseTemplate, type TemplateOperator, type TemplatePart, type TemplateVariable } from './uri-template.ts'

/** Longest URI, and longest template, that match anything (characters). */
const maxLength = 16_384
/** Some tenths of a second of work at most. Ten thousand ordinary templates stay below it. */
const defaultMaxSteps = 8_000_000

export interface UriMatcher {
  /** Never throws. `false` as well when the steps are used up. */
  matches: (template: string) => boolean
  /** Work that was done: characters that were looked at. */
  steps: () => number
}

/**
 * Tells the templates that a URI can come of.
 *
 * A template is a server's text, and a server may write one that is made to last. So no template becomes a regular
 * expression: the places of the URI that can be reached are followed part by part, all at once. The work for one
 * template grows with its length times the URI's, and all templates together have `maxSteps`. Use one matcher for each
 * server, so that none costs another one its matches.
 */
export function createUriMatcher (uri: string, { maxSteps = defaultMaxSteps } = {}): UriMatcher {
  const text = uri.length > maxLength ? null : normalize(uri)
  let steps = 0
  let walk: Walk | null = null

  /** Whether there are steps left. */
  function spend (count: number): boolean {
    if (steps <= maxSteps) steps += count
    return steps <= maxSteps
  }

  return {
    steps: () => steps,

    matches (template) {
      if (text === null || template.length > maxLength || !spend(template.length + 1)) return false
      // Most templates begin with something else: no need to look at the rest of them.
      const prefix = normalize(template.slice(0, lengthOfPrefix(template)))
      if (!text.startsWith(prefix)) return false
      const parts = parseTemplate(template)
      if (parts === null) return false
      walk ??= createWalk(text, spend)
      return walk.reachesEnd(parts)
    }
  }
}

function lengthOfPrefix (template: string): number {
  const open = template.indexOf('{')
  return open === -1 ? template.length : open
}

/**
 * A text with each character encoded that no URI holds, and the digits of each code in upper case. A template's own
 * characters are encoded when it is expanded, and callers write URIs either way.
 */
const normalize = (text: string): string => text.toWellFormed()
  .replace(/%[\da-f]{2}/gi, code => code.toUpperCase())
  .replace(/[^\w.~!#$&'()*+,/:;=?@[\]%-]|%(?![\dA-F]{2})/gu, encodeURIComponent)

/** Places in the URI, from 0 to its length: 1 for one that can be reached. */
type Places = Uint8Array

interface Walk { reachesEnd: (parts: readonly TemplatePart[]) => boolean }

/** Follows templates through one URI. `spend` counts the work, and says when it has been enough. */
function createWalk (uri: string, spend: (count: number) => boolean): Walk {
  const size = uri.length + 1
  const isCharacterEnd = characterEnds(uri)

  /** The places behind a text. */
  function behind (places: Places, text: string): Places {
    if (text === '') return places
    const reached = new Uint8Array(size)
    spend(size)
    for (let place = places.indexOf(1); place !== -1; place = places.indexOf(1, place + 1)) {
      if (!spend(text.length)) break
      if (uri.startsWith(text, place)) reached[place + text.length] = 1
    }
    return reached
  }

  /** The places behind a value, which may be empty. */
  function behindValue (places: Places, excluded: string, maxCharacters: number): Places {
    spend(size)
    const reached = new Uint8Array(size)
    // The latest place that the value can begin at gives it the most room.
    let length: number | null = null
    for (let place = 0; place < size; place++) {
      if (places[place] === 1) length = 0
      if (length === null) continue
      if (length <= maxCharacters) reached[place] = 1
      if (excluded !== '' && excluded.includes(uri.charAt(place))) length = null
      else if (isCharacterEnd[place + 1] === 1) length++
    }
    return reached
  }

  function behindVariable (places: Places, operator: TemplateOperator, variable: TemplateVariable): Places {
    const { naming, excluded, excludedExploded } = operator
    const { name, isExploded, maxLength } = variable
    // An exploded value has names of its own, where it has any.
    if (isExploded) return behindValue(places, excludedExploded, Infinity)
    if (naming === 'none') return behindValue(places, excluded, maxLength)
    const named = behind(places, normalize(name))
    const valued = behindValue(behind(named, '='), excluded, maxLength)
    return naming === 'always' ? valued : union(named, valued)
  }

  /** Each variable may be absent. The first one that is not has another text before it than those that follow. */
  function behindExpression (start: Places, { operator, variables }: Exclude<TemplatePart, string>): Places {
    const first = behind(start, operator.first)
    let reached: Places | null = null
    for (const variable of variables) {
      if (!spend(0)) break
      const before: Places = reached === null ? first : union(first, behind(reached, operator.separator))
      const valued = behindVariable(before, operator, variable)
      reached = reached === null ? valued : union(reached, valued)
    }
    return reached === null ? start : union(start, reached)
  }

  function union (some: Places, others: Places): Places {
    spend(size)
    const both = some.slice()
    for (let place = others.indexOf(1); place !== -1; place = others.indexOf(1, place + 1)) both[place] = 1
    return both
  }

  return {
    reachesEnd (parts) {
      let places: Places = new Uint8Array(size)
      places[0] = 1
      for (const part of parts) {
        places = typeof part === 'string' ? behind(places, normalize(part)) : behindExpression(places, part)
        if (!spend(0) || !places.includes(1)) return false
      }
      return places[uri.length] === 1
    }
  }
}

/** Marks the places where a character ends. The codes of one character in UTF-8 are one, as a prefix counts them. */
function characterEnds (uri: string): Uint8Array {
  const ends = new Uint8Array(uri.length + 1)
  let place = 0
  while (place < uri.length) {
    const isCode = uri.charAt(place) === '%'
    place += isCode ? 3 : 1
    // Codes from %80 to %BF go on with the character before them.
    const goesOn = isCode && /^%[89AB]/.test(uri.slice(place, place + 2))
    if (!goesOn) ends[place] = 1
  }
  return ends
}
