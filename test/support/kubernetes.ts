import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { installDebianPackages } from '../../scripts/debian.mjs'
import { root } from './paths.ts'

export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: { name: string, namespace?: string, labels?: Record<string, string> }
  [field: string]: unknown
}

/** Renders a folder of deploy/kustomize as `kubectl apply -k` does. Needs kubectl or kustomize. */
export function render (folder: string): KubernetesObject[] {
  return objectsIn(execFileSync(...kustomizeCommand(join(root, 'deploy', 'kustomize', folder)), { encoding: 'utf8' }))
}

export const objectsIn = (yaml: string) =>
  parseAllDocuments(yaml).map(document => document.toJS({ maxAliasCount: -1 }) as KubernetesObject)

function kustomizeCommand (folder: string): [string, string[]] {
  for (const attempt of [false, true]) {
    if (isThere('kubectl', ['kustomize', '--help'])) return ['kubectl', ['kustomize', folder]]
    if (isThere('kustomize', ['version'])) return ['kustomize', ['build', folder]]
    if (!attempt) installDebianPackages(['kubernetes-client'], 'The tests render deploy/kustomize, and nothing here can.')
  }
  throw new Error('deploy/kustomize is rendered by kubectl 1.27 or newer, or by kustomize 5: install one of them')
}

function isThere (command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/**
 * What is wrong with an object by the schema of its kind, as Kubernetes publishes it; unknown fields included.
 *
 * The compiled schemas of kubernetes-models pass over fields that they do not know, as an API server may. But they read
 * every field that they do know. So a field that was never read is none, or misspelt.
 */
export async function faultsIn (object: KubernetesObject): Promise<string[]> {
  const { apiVersion, kind } = object
  const models = await import(`kubernetes-models/${apiVersion}/${kind}`) as Record<string, ModelClass>
  const Model = models[kind]
  if (Model === undefined) return [`${apiVersion} has no ${kind}`]
  const unread = new Set<string>()
  try {
    Model.prototype.validate.call(watchReads(object, '', unread))
  } catch (error) {
    return [(error as Error).message]
  }
  return [...unread].map(path => `${kind} ${object.metadata.name} has an unknown field ${path}`)
}

interface ModelClass { prototype: { validate: (this: object) => void } }

/** Gives the value, and keeps the paths of its fields that nobody has read so far in `unread`. */
function watchReads<T> (value: T, path: string, unread: Set<string>): T {
  if (typeof value !== 'object' || value === null) return value
  const inner = Object.fromEntries(Object.entries(value).map(([name, field]) => {
    unread.add(`${path}.${name}`)
    return [name, watchReads(field as unknown, `${path}.${name}`, unread)]
  }))
  const target = Array.isArray(value) ? Object.values(inner) : inner
  return new Proxy(target, {
    get (of, name, receiver) {
      unread.delete(`${path}.${String(name)}`)
      return Reflect.get(of, name, receiver) as unknown
    }
  }) as T
}
