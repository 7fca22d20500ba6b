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

/** The variables that every server inherits from the service. */
export function inheritedEnvironment (host: HostEnvironment): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of inheritedNames) {
    const value = host[name]
    if (value !== undefined) env[name] = value
  }
  return env
}
