/** Variables that name what only a running service uses: Redis, servers, files, ports of its own. */
const usedOnlyAtWork = /^(REDIS_|MCP_SERVER|MCP_METRICS_|MCP_ENCRYPTION_KEYS|MCP_AUDIT_LOG|MCP_GUIDANCE_FILE)/
/** The keys decide whether the description says that one is needed. */
const isFileOfKeys = (name: string) => name === 'MCP_CLIENT_API_KEYS_FILE'

/**
 * The environment of a service that is only described: the settings that shape the description, and nothing that would
 * be connected to, opened, or started. So what is missing or out of reach on this machine does not matter.
 */
export function environmentToDescribe<Value> (environment: Readonly<Record<string, Value>>) {
  const kept = Object.entries(environment).filter(([name]) =>
    !usedOnlyAtWork.test(name) && (!name.endsWith('_FILE') || isFileOfKeys(name)))
  return { ...Object.fromEntries(kept), MCP_AUDIT_LOG: 'off', MCP_SKIP_VALIDATION: 'true' }
}
