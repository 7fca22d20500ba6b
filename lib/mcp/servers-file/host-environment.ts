import { join } from 'node:path'
import { ConfigError } from '../../errors.ts'
import type { Proxies } from '../transports/http-agent.ts'
import type { ProcessUser } from '../transports/process-user.ts'

/** The service's own environment. Holds secrets: never log it. */
export type HostEnvironment = Readonly<Record<string, string | undefined>>

/**
 * Enough to find programs, certificates, and the files of the server's user, and nothing that could be a secret of ours
 * (`REDIS_PASSWORD`). The official SDKs pass on the first six.
 */
const inheritedNames = [
  'HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER',
  'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'VIRTUAL_ENV', 'SSL_CERT_FILE', 'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE'
]

/** What is about the service's own user: its names, and folders that belong to it. */
const ownNames = new Set(['HOME', 'LOGNAME', 'SHELL', 'USER', 'TMPDIR', 'NODE_COMPILE_CACHE'])

/**
 * The variables that a server inherits from the service. One with a user of its own gets none that is about the
 * service's user: a HOME that it cannot use would be worse than none.
 */
export function inheritedEnvironment (host: HostEnvironment, user?: ProcessUser): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of inheritedNames) {
    if (user !== undefined && ownNames.has(name)) continue
    const value = host[name]
    if (value !== undefined) env[name] = value
  }
  return env
}

/**
 * Tells Node where to keep the compiled code of a server: in a folder of its own within `folder`, so that no server
 * runs what another one has compiled. A changed entry begins an empty one. A server with a user of its own could not
 * enter it, and gets none.
 *
 * @see https://nodejs.org/api/module.html#module-compile-cache
 */
export function compileCacheVariable (
  folder: string | null | undefined, { identity, user }: { identity: string, user?: ProcessUser }
): Record<string, string> {
  return folder && user === undefined ? { NODE_COMPILE_CACHE: join(folder, identity) } : {}
}

function isProxy (value: string): boolean {
  try {
    const { protocol, username, password } = new URL(value)
    decodeURIComponent(username + password) // a lone % is none of a URL's
    return /^https?:$/.test(protocol)
  } catch {
    return false
  }
}

/**
 * The proxies that the environment names for servers over HTTP. As everywhere, a name in lower case counts first.
 * Throws ConfigError, which repeats no value: a proxy's address may hold a password.
 */
export function proxiesIn (host: HostEnvironment): Proxies {
  const valueOf = (name: string) => (host[name.toLowerCase()] || host[name] || '').trim()
  function proxyOf (name: string): string {
    const value = valueOf(name)
    if (value === '' || isProxy(value)) return value
    const rule = 'must be an http(s) URL with MCP_UPSTREAM_PROXY=env'
    throw new ConfigError(`${name} ${rule}, but is a value that is not shown`)
  }
  return { http: proxyOf('HTTP_PROXY'), https: proxyOf('HTTPS_PROXY'), no: valueOf('NO_PROXY') }
}
