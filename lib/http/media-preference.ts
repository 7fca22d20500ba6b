import { splitAt } from './split-header.ts'

/** A media range of an `Accept` header, which may have wildcards, in lower case. Its weight is from 0 to 1. */
interface MediaRange { range: string, weight: number }

function parseRange (text: string): MediaRange | null {
  const [range = '', ...parameters] = splitAt(text, ';').map(part => part.trim().toLowerCase())
  if (!/^[^\s/"]+\/[^\s/"]+$/.test(range)) return null
  const weight = parameters.map(parameter => /^q\s*=\s*(.*)$/.exec(parameter)?.[1])
    .find(text => text !== undefined) ?? '1'
  // A weight that is none makes the range unusable, as if it were not there.
  return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? { range, weight: Number(weight) } : null
}

/**
 * Whether a caller names a media type, and prefers no other one to it: `named` counts when it has at least the weight
 * of `usual`. A wildcard names nothing.
 *
 * Libraries for this break a tie by the order in the header. Here the tie is the usual case: a caller who lists both
 * forms takes either, and would not name the special one for nothing.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
 */
export function prefersNamed (accept: string | undefined, named: string, usual: string): boolean {
  if (accept === undefined || !accept.toLowerCase().includes(named)) return false
  const ranges = splitAt(accept, ',').map(parseRange).filter(range => range !== null)
  const weightOf = (name: string) => {
    const weights = ranges.filter(({ range }) => range === name).map(({ weight }) => weight)
    return weights.length === 0 ? undefined : Math.max(...weights)
  }
  const weight = weightOf(named) ?? 0
  const usualWeight = weightOf(usual) ?? weightOf(`${usual.split('/', 1)[0]}/*`) ?? weightOf('*/*') ?? 0
  return weight > 0 && weight >= usualWeight
}
