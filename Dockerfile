FROM node:24-slim

# workerd checks the model API's certificate against the system's.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY package.json package-lock.json ./
# What npm itself runs after installing.
COPY scripts/mend-just-bash.mjs scripts/copy-assets.mjs scripts/
RUN npm ci && npm cache clean --force
COPY wrangler.toml tsconfig.json ./
COPY assets assets
COPY scripts scripts
COPY src src

# The Worker is built into /app/.wrangler at each start.
RUN mkdir .wrangler /data && chown node:node .wrangler /data
USER node
VOLUME /data
ENV LEDGE_DATA=/data

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# The command of `npm start`, without npm, which would keep signals from it.
CMD ["node", "scripts/run.mjs", "start", "--host", "0.0.0.0", "--port", "8000"]
