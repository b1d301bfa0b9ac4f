#!/usr/bin/env node
// A person with a browser: opens the URL that it is given in a headless Chromium, logs in at
// `oidc-provider` as alice and consents, or declines. When the program that waits for her has shown its
// page, it writes what she sees to its standard output, as JSON, and closes the browser.
//
//   login.mjs [--decline] URL
//
//   CHROMIUM    the program; required

import { userInfo } from 'node:os';
import puppeteer from 'puppeteer-core';

const declines = process.argv.includes('--decline');
const url = process.argv.at(-1);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  pipe: true, // so that it ends with this process, however that ends
  // There is no sandbox for root; what it shows comes from this machine alone.
  args: ['--disable-gpu', '--disable-dev-shm-usage', ...(userInfo().uid === 0 ? ['--no-sandbox'] : [])],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000); // each of its waits is over in a tenth of a second
  await page.goto(url);
  const server = new URL(page.url()).origin;

  await page.type('input[name=login]', 'alice');
  await page.type('input[name=password]', 'wonderland');
  await goesOn(page, 'button[type=submit]');
  await goesOn(page, declines ? 'a[href$="/abort"]' : 'button[type=submit]');

  if (new URL(page.url()).origin === server) throw new Error('the server does not let her go');
  const seen = await page.evaluate(() => ({ title: document.title, text: document.body.innerText }));
  console.log(JSON.stringify({ ...seen, path: new URL(page.url()).pathname }));
} finally {
  await browser.close();
}

async function goesOn(page, selector) {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
}
