/** What a MIME type of somebody else's may be to go into a header: two words, without parameters. */
const pattern = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}$/

/** The type of bytes of which nobody knows what they are. */
export const unknownType = 'application/octet-stream'

/** A MIME type that somebody else gave, in lower case and without parameters; `application/octet-stream` for none. */
export function cleanMediaType (given: unknown): string {
  const [type = ''] = typeof given === 'string' ? given.slice(0, 300).split(';', 1) : []
  const clean = type.trim().toLowerCase()
  return pattern.test(clean) ? clean : unknownType
}

/** Types that a browser shows and never runs, also when it opens them as a page. */
const shownTypes = new Set([
  'application/json', 'text/plain', 'text/csv', 'text/markdown', 'image/png', 'image/jpeg', 'image/gif', 'image/webp',
  'image/avif', 'image/bmp'
])

/** Whether a browser may show content of a type. It is to save any other one, such as a page, SVG, XML or a script. */
export const isShown = (type: string): boolean =>
  shownTypes.has(type) || type.startsWith('audio/') || type.startsWith('video/')
