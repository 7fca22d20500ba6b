// @ts-check
import { readFile } from 'node:fs/promises'
import { analyzeColumns } from '../analysis/columns.mjs'
import { parseCsv } from './csv.mjs'

/** @import { Column, Row } from '../analysis/columns.mjs' */

/** @typedef {{ id: string, title: string, description: string, credit: string, licence: string, file: string }} CatalogueEntry */

/** @typedef {{ sourceId: string, title: string, credit: string, licence: string, rowCount: number, columns: Array<Pick<Column, 'name' | 'type'>> }} SourceStructure */

/**
 * Only data whose terms are known and allow this use.
 * @type {CatalogueEntry[]}
 */
const CATALOGUE = [
  {
    id: 'seattle-weather',
    title: 'Seattle weather',
    description: 'Precipitation, temperatures and wind of every day from 2012 to 2015.',
    credit: 'NOAA National Climatic Data Center',
    licence: 'U.S. Government work, public domain',
    file: 'seattle-weather.csv'
  },
  {
    id: 'gapminder',
    title: 'Health and population of countries',
    description: 'Population, life expectancy and fertility of 62 countries, every five years from 1955 to 2005.',
    credit: 'Gapminder Foundation, www.gapminder.org',
    licence: 'CC BY 4.0',
    file: 'gapminder.json'
  },
  {
    id: 'penguins',
    title: 'Penguins of the Palmer Archipelago',
    description: 'Measurements of 344 penguins of three species on three islands.',
    credit: 'Dr. Kristen Gorman and the Palmer Station Antarctica LTER',
    licence: 'CC0 1.0',
    file: 'penguins.json'
  },
  {
    id: 'us-employment',
    title: 'Employment in the United States',
    description: 'Employees in 22 sectors, in thousands, every month from 2006 to 2015.',
    credit: 'U.S. Bureau of Labor Statistics, Current Employment Statistics',
    licence: 'U.S. Government work, public domain',
    file: 'us-employment.csv'
  },
  {
    id: 'co2-concentration',
    title: 'Carbon dioxide in the atmosphere',
    description: 'CO2 at Mauna Loa in parts per million, every month since 1958, also seasonally adjusted.',
    credit: 'Scripps CO2 Program',
    licence: 'CC BY 4.0',
    file: 'co2-concentration.csv'
  },
  {
    id: 'birdstrikes',
    title: 'Bird strikes in the United States',
    description: 'Ten thousand collisions of aircraft with wildlife: airport, operator, phase of flight, species, damage and cost.',
    credit: 'FAA Wildlife Strike Database',
    licence: 'U.S. Government work, public domain',
    file: 'birdstrikes.csv'
  }
]

/**
 * The catalogue and its rows. A file is read when it is first asked for and then kept: about 2 MB for all of them.
 */
export function createSources () {
  const folder = new URL('data/', import.meta.resolve('vega-datasets/package.json'))
  /** @type {Map<string, Promise<{ rows: Row[], structure: SourceStructure }>>} */
  const cache = new Map()

  return {
    /** @param {{ search: string, page: number, limit: number }} query */
    list ({ search, page, limit }) {
      const words = search.toLowerCase().split(/\s+/).filter(word => word !== '')
      const found = CATALOGUE.filter(({ id, title, description }) => {
        const text = `${id} ${title} ${description}`.toLowerCase()
        return words.every(word => text.includes(word))
      })
      const sources = found.slice((page - 1) * limit, page * limit).map(({ file, ...source }) => source)
      return { sources, pagination: { page, limit, total: found.length } }
    },

    /**
     * Loads a source; `null` when there is none of that id.
     * @param {string} id
     */
    async load (id) {
      const entry = CATALOGUE.find(entry => entry.id === id)
      if (!entry) return null
      const loading = cache.get(id) ?? readSource(entry, folder)
      cache.set(id, loading)
      // A failed read is tried again by the next request.
      loading.catch(() => cache.delete(id))
      return loading
    }
  }
}

/**
 * @param {CatalogueEntry} entry
 * @param {URL} folder
 */
async function readSource ({ id, title, credit, licence, file }, folder) {
  const text = await readFile(new URL(file, folder), 'utf8')
  /** @type {Row[]} */
  const rows = file.endsWith('.csv') ? parseCsv(text) : JSON.parse(text)
  const columns = analyzeColumns(rows).map(({ name, type }) => ({ name, type }))
  return { rows, structure: { sourceId: id, title, credit, licence, rowCount: rows.length, columns } }
}
