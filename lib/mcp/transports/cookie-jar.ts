/** A cookie of a server. Secret: a balancer may take it for a session. */
export interface Cookie {
  name: string
  value: string
  path: string
  /** It is sent over https only. */
  isSecure?: true
  /** When it ends (ms since 1970); absent: with the session. */
  expires?: number
}

/** The cookies of one origin, as a balancer sets them to lead requests of one session to one place. */
export interface CookieJar {
  /** The value of the header `cookie`; `null` for none. */
  header: (url: URL) => string | null
  /** Takes the cookies that a reply sets. */
  store: (headers: SettingHeaders, url: URL) => void
  /** The cookies that have not ended, in the order in which they were set. */
  cookies: () => readonly Cookie[]
}

/** The part of a reply's headers that sets cookies. */
interface SettingHeaders { readonly 'set-cookie'?: string | string[] | undefined }

/** Most cookies that are kept; the oldest goes first. */
const maxCookies = 20
/** Longest cookie, name and value (bytes); a longer one is passed over. */
const maxCookieBytes = 4_096

/**
 * Cookies for one origin. They go to no other: a domain that a server names is not looked at, so no list of domains
 * is needed, which is most of a library for cookies.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-5
 */
export function createCookieJar ({ origin }: URL, known: readonly Cookie[] = []): CookieJar {
  const cookies = new Map<string, Cookie>()
  for (const cookie of known) cookies.set(keyOf(cookie), cookie)

  const alive = () => [...cookies.values()].filter(cookie => !hasEnded(cookie))

  return {
    cookies: alive,

    header (url) {
      if (cookies.size === 0 || url.origin !== origin) return null
      const sent = alive()
        .filter(({ path, isSecure }) => matchesPath(url.pathname, path) && (!isSecure || url.protocol === 'https:'))
        .sort((one, other) => other.path.length - one.path.length)
      return sent.length === 0 ? null : sent.map(({ name, value }) => `${name}=${value}`).join('; ')
    },

    store (headers, url) {
      if (url.origin !== origin) return
      for (const text of [headers['set-cookie'] ?? []].flat()) {
        const cookie = parseCookie(text, url)
        if (cookie === null) continue
        cookies.delete(keyOf(cookie)) // put back at the end, as the newest
        if (hasEnded(cookie)) continue
        cookies.set(keyOf(cookie), cookie)
        if (cookies.size > maxCookies) cookies.delete(cookies.keys().next().value as string)
      }
    }
  }
}

/**
 * Whether cookies are other than those that were kept. The same ones with a later end are not, until half of their time
 * has passed: some balancers set theirs with each reply.
 */
export function haveChanged (kept: readonly Cookie[], now: readonly Cookie[]): boolean {
  if (kept.length !== now.length) return true
  const before = new Map(kept.map(cookie => [keyOf(cookie), cookie]))
  const leftOf = ({ expires = Infinity }: Cookie) => expires - Date.now()
  return now.some(cookie => {
    const known = before.get(keyOf(cookie))
    if (known === undefined || known.value !== cookie.value || known.isSecure !== cookie.isSecure) return true
    return known.expires !== cookie.expires && leftOf(known) < leftOf(cookie) / 2
  })
}

const keyOf = ({ name, path }: Cookie) => `${name};${path}`
const hasEnded = ({ expires }: Cookie) => expires !== undefined && expires <= Date.now()

const matchesPath = (path: string, of: string) =>
  path === of || (path.startsWith(of) && (of.endsWith('/') || path[of.length] === '/'))

/** A cookie as its server wrote it; `null` for one that must not be kept. */
function parseCookie (text: string, url: URL): Cookie | null {
  const [pair = '', ...rest] = text.split(';')
  const equals = pair.indexOf('=')
  const name = pair.slice(0, Math.max(equals, 0)).trim()
  const value = pair.slice(equals + 1).trim()
  if (name === '' || Buffer.byteLength(name + value) > maxCookieBytes || !isPrintable(name + value)) return null
  const attributes = new Map(rest.map(attribute => {
    const [key = '', ...parts] = attribute.split('=')
    return [key.trim().toLowerCase(), parts.join('=').trim()]
  }))
  const isSecure = attributes.has('secure')
  if (isSecure && url.protocol !== 'https:') return null
  const given = attributes.get('path') ?? ''
  const expires = endOf(attributes)
  return {
    name,
    value,
    path: given.startsWith('/') ? given : url.pathname.replace(/\/[^/]*$/, '') || '/',
    ...(isSecure && { isSecure }),
    ...(expires !== null && { expires })
  }
}

const isPrintable = (text: string) => /^[!-~ ]*$/.test(text) && !text.includes(';')

/** Max-Age counts, where there is one. A date that cannot be read is none. */
function endOf (attributes: ReadonlyMap<string, string>): number | null {
  const maxAge = attributes.get('max-age') ?? ''
  if (/^-?\d+$/.test(maxAge)) return Date.now() + Math.min(Number(maxAge), 34_560_000) * 1000 // 400 days
  const date = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(date) ? null : date
}
