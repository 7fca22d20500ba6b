import processOnSpawn from 'process-on-spawn'

/*
 * tap loads its loader into every process that a test starts. The services and servers of the tests run as in production
 * instead: the loader more than doubles their start.
 */
processOnSpawn.addListener(spawned => {
  const { env } = spawned as { env: Record<string, string> }
  const isTaps = (name: string) => name === 'NODE_OPTIONS' || name.startsWith('_TAPJS')
  spawned.env = Object.fromEntries(Object.entries(env).filter(([name]) => !isTaps(name)))
})
