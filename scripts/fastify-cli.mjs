/** Gives the arguments of `fastify start` for our variables. The app checks the values before they are used. */
export function cliArguments (environment) {
  const { MCP_CLIENT_HOST, MCP_CLIENT_PORT, MCP_CLOSE_GRACE, MCP_STOP_STEP_MS } = environment
  // The app itself ends requests at the end of the grace. Then answers leave, and MCP servers end.
  const closeMs = Number(MCP_CLOSE_GRACE || 30) * 1000 + 5_000 + 2 * Number(MCP_STOP_STEP_MS || 500)
  return [
    // fastify-cli takes port 0 for no port. PORT, which it reads next, may be 0 (see start.mjs).
    ...(MCP_CLIENT_PORT === '0' ? [] : ['--port', MCP_CLIENT_PORT || '33000']),
    '--address', MCP_CLIENT_HOST || '0.0.0.0',
    // fastify-cli's own half second would cut off running calls.
    '--close-grace-delay', String(closeMs)
  ]
}

/** Gives one line for a failed start. */
export function explain (error) {
  if (error?.code?.startsWith('MCPC_ERR_')) return error.message
  if (error?.code === 'EADDRINUSE') {
    return `MCP_CLIENT_PORT must be a free port, but ${error.address}:${error.port} is taken by another process`
  }
  if (error?.code === 'EACCES' && error.syscall === 'listen') {
    return `MCP_CLIENT_PORT must be a port that this user may listen on, but ${error.port} is not`
  }
  if (error?.code === 'EADDRNOTAVAIL' || error?.code === 'ENOTFOUND') {
    return `MCP_CLIENT_HOST must be an address of this machine, but is ${error.address ?? error.hostname}`
  }
  return error?.stack ?? String(error)
}
